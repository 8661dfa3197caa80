"""What of a URL and of a text may be shown."""

from monitor.public_url import Expanded, public_text


def test_what_came_from_the_environment_is_masked_in_a_text() -> None:
    text = Expanded("release s3cret of s4cret!", ((8, 14), (18, 24)))

    assert public_text(text) == "release *** of ***!"
    assert public_text("release 1") == "release 1"
