"""Speed and cost against peers and limits, as ratios in one run. No test asserts a time; these print them."""
