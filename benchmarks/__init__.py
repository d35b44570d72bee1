"""Speed and cost compared with peers and limits, as ratios in one run. No test asserts a time; these print them."""
