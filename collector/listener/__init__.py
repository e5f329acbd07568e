"""The HTTP side of the collector: with ``console`` the only room that knows aiohttp's server."""

import os
import ssl

# Whoever loads aiohttp gets its client too, which at once makes a TLS context with every authority that the system
# knows: 2 MB for nobody, as a listener calls no one and our sinks bring contexts of their own. So it finds none.
_VARIABLE = ssl.get_default_verify_paths().openssl_cafile_env
_named = os.environ.get(_VARIABLE)
os.environ[_VARIABLE] = os.devnull
try:
    import aiohttp  # noqa: F401 - for its side effects, which are few after this
finally:
    if _named is None:
        del os.environ[_VARIABLE]
    else:
        os.environ[_VARIABLE] = _named
