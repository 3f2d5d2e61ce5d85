"""Content negotiation: the media types and codings that a client accepts (RFC 9110, 12)."""

import re

# Java writes `.2`, and programs that compute a weight write all of its digits.
_QUALITY = re.compile(r"0?\.\d+|0\.?|1(?:\.0*)?")

# The weight of a media type, then how specific the matching range is.
Preference = tuple[float, int]


def parse_weights(header: str) -> dict[str, float]:
    """Returns the names of an `Accept` or `Accept-Encoding` header with their weights, 0 to 1."""
    weights = {}
    for part in header.lower().split(","):
        name, *parameters = (text.strip() for text in part.split(";"))
        if name:
            weights[name] = _weight(parameters)
    return weights


def preference_for(media_type: str, weights: dict[str, float]) -> Preference:
    """Returns the preference for a media type, by the most specific range; 0 without a match."""
    ranges = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    for specificity in (2, 1, 0):
        weight = weights.get(ranges[specificity])
        if weight is not None:
            return weight, specificity
    return 0.0, -1


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q" and _QUALITY.fullmatch(value.strip()):
            return float(value)
    # Like other servers, ignore an invalid weight.
    return 1.0
