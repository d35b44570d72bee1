"""The record: what happened to the events of the last hours, in a JetStream stream of its own, for people who ask why.

`entries` are what is written, `recorder` writes them without slowing the Brokers, `reader` reads them, and `journeys`
puts together the whole way of one event. The Brokers' own streams keep their events as on a cluster; nothing here
touches them.
"""
