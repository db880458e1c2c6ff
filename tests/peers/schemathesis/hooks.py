"""What Schemathesis is not to try."""

import ipaddress
import re

import schemathesis
from hypothesis.internal import lambda_sources

# For a name in messages Hypothesis parses the sources of lambdas, on more than one thread; the parser of
# CPython 3.11 fails now and then when it is used so.
lambda_sources.lambda_description = lambda function: "lambda"

PLAIN = re.compile(r"[A-Za-z0-9-]+")
KEY = re.compile(r'"[ !#-\[\]-~]{1,255}"|[!#-\[\]-~]([ !#-\[\]-~]{0,253}[!#-\[\]-~])?')
CONDITION = re.compile(r'\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*')


def spelled_as_fraction(value):
    """Whether a whole number stands in it with a point, as in `1.0`."""
    if isinstance(value, dict):
        return any(map(spelled_as_fraction, value.values()))
    if isinstance(value, list):
        return any(map(spelled_as_fraction, value))
    return isinstance(value, float) and value.is_integer()


def is_network(text):
    try:
        return "/0" not in text[:-1] and bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def has_false_network(body):
    """Whether what stands in it as a network is none, though it is written with the right signs."""
    addresses = body.get("addresses") if isinstance(body, dict) else None
    return isinstance(addresses, list) and not all(map(is_network, map(str, addresses)))


@schemathesis.hook
def filter_case(context, case):
    """Header names that are refused before anything is read, and conditions that are none, belong to
    other tests. A number is a text once it stands in a header, and names in paths are given, so
    neither is wrong, whatever it was meant to be. A whole number is written without a point here, and a
    network is one, which a schema cannot say."""
    if spelled_as_fraction(case.body):
        return False
    headers = {name.lower(): str(value) for name, value in (case.headers or {}).items()}
    if not all(map(PLAIN.fullmatch, headers)):
        return False
    if "if-match" in headers and not CONDITION.fullmatch(headers["if-match"]):
        return False
    wrong = {
        str(getattr(place, "value", place))
        for place, it in (case.meta.components if case.meta else {}).items()
        if it.mode.is_negative
    }
    if "path" in wrong or not wrong and has_false_network(case.body):
        return False
    is_right_key = KEY.fullmatch(headers.get("idempotency-key", "k"))
    return wrong != {"header"} or not is_right_key
