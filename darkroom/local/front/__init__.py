"""The gateway: HTTPRoutes of the Gateway API, and the Services' own host names."""
