"""What perf/bench, perf/scaling, perf/costs and perf/profile are made of."""
