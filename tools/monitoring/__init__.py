"""What an operator watches: recording and alerting rules for Prometheus, Grafana's dashboards, the collector's
configuration. All of it is data made by code, so that each of the three names only metrics which are in the catalog,
`darkroom.contract.metrics`, and each alert has its runbook.

Nothing here measures anything, and nothing here runs: `make monitoring` writes knative/components/monitoring.
"""
