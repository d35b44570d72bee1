"""notify: tells webhook endpoints of the ends of their key's jobs."""

from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.rejections import rejecting_unreadable
from darkroom.serving.resources import Resources
from functions.notify.notifications import Notifications


def build(resources: Resources) -> EventEndpoint:
    notifications = Notifications(resources)
    unreadable = rejecting_unreadable(resources.settings.service)
    return EventEndpoint("notify", notifications.handle, unreadable=unreadable)
