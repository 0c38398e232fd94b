"""So many requests per principal, else per client address, in any window, over all processes."""

from app.pattern import Pattern
from app.rate_limit.limits import RateLimits as RateLimits
from app.rate_limit.middleware import Admission
from app.rate_limit.middleware import AroundAuthentication
from app.rate_limit.policy import Decision as Decision
from app.rate_limit.policy import Policy as Policy
from app.rate_limit.settings import RateLimitSettings as RateLimitSettings
from app.redis import RedisClient
from app.service import Service


def _limits(service: Service) -> RateLimits:
    return RateLimits(service.get(RedisClient), service.settings(RateLimitSettings))


# Within authentication, which says whose request it is.
pattern = Pattern(
    name="rate_limit",
    settings=RateLimitSettings,
    resources=lambda service: [_limits(service)],
    middleware=lambda app, service: Admission(app, service.get(RateLimits)),
)

# Around authentication, for what that refuses.
around_auth = Pattern(
    name="rate_limit",
    middleware=lambda app, service: AroundAuthentication(app, service.get(RateLimits)),
)
