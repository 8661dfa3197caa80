"""The apprise library, loaded when a channel needs it; it logs nothing, since its lines show secrets."""

import importlib
import logging
import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_LOGGERS = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")


@cache
def load_apprise() -> "ModuleType":
    """Return the library; loading it takes a third of a second the first time."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    logging.getLogger("apprise").setLevel(logging.DEBUG)  # for `alerts/channels`, which reads the errors
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its plugins try modules that Python is about to drop
        apprise = importlib.import_module("apprise")
        apprise.Apprise.instantiate("json://localhost")  # loads all plugins
    return apprise


def check_apprise_url(url: str) -> str:
    """Allow the URLs of services that the library can send to."""
    if load_apprise().Apprise.instantiate(url) is None:
        raise ValueError(
            "no service of apprise; must be a URL that https://appriseit.com/services/ describes"
        )
    return url
