"""`darkroom simulate`: reads manifests, traffic, times and prices, and shows what `darkroom.simulate` computes."""
