"""`darkroom plan`: reads options, prices and manifests, and prints what `darkroom.planning` computes."""
