"""The two small programs that CloudFront runs at its edge: what closes private paths, and what browsers are told.

Both are for its JavaScript runtime 2.0, which is ECMAScript 5.1 and more; they keep to 5.1. Sources: Amazon CloudFront
Developer Guide, *Event structure* (``uri`` is the path as it was sent), *Restrictions on edge functions* (a function of
the viewer's response is not called where the origin answered 400 or above, so errors get no ``Cache-Control``).
"""

import json
from collections.abc import Sequence

from aether_deploy.infrastructure.edge.policy import EdgeClass

_CLOSING = """\
var open = {open};

function closed() {{
  return {{
    statusCode: 404,
    statusDescription: 'Not Found',
    headers: {{ 'cache-control': {{ value: 'no-store' }} }}
  }};
}}

// Whether some reader of the path could take this part of it for another folder, were it decoded once or twice.
function misleads(part) {{
  for (var round = 0; round < 3; round++) {{
    if (part === '' || part.charAt(0) === '.' || /[\\/\\\\\\u0000-\\u001f]/.test(part)) {{
      return true;
    }}
    if (part.indexOf('%') < 0) {{
      return false;
    }}
    try {{
      part = decodeURIComponent(part);
    }} catch (error) {{
      return round === 0;
    }}
  }}
  return true;
}}

function handler(event) {{
  var request = event.request;
  var parts = request.uri.split('/');
  for (var at = 1; at < parts.length; at++) {{
    if (misleads(parts[at])) {{
      return closed();
    }}
  }}
  for (var each = 0; each < open.length; each++) {{
    if (request.uri.indexOf(open[each]) === 0) {{
      request.querystring = {{}};
      return request;
    }}
  }}
  return closed();
}}
"""

_TELLING = """\
var classes = {classes};

function handler(event) {{
  var response = event.response;
  if (response.statusCode >= 400) {{
    return response;
  }}
  delete response.headers['cache-control'];
  delete response.headers['expires'];
  for (var at = 0; at < classes.length; at++) {{
    if (event.request.uri.indexOf(classes[at][0]) === 0) {{
      response.headers['cache-control'] = {{ value: classes[at][1] }};
      return response;
    }}
  }}
  return response;
}}
"""


def closing_function(open_prefixes: Sequence[str]) -> str:
    """Return the program that answers 404 for everything but plain paths below ``open_prefixes``, and drops queries."""
    return _CLOSING.format(open=json.dumps(list(open_prefixes)))


def telling_function(classes: Sequence[EdgeClass]) -> str:
    """Return the program that tells browsers how long an object is good; ``classes`` are the longest path first."""
    return _TELLING.format(classes=json.dumps([[each.match, each.cache_control] for each in classes]))
