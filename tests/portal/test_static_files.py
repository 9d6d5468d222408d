"""Static files have names that change with their content, made once for each."""

import pytest

from portal.static_files import StaticFiles


def test_an_address_is_that_of_the_manifest_until_the_files_are_collected_anew(tmp_path, settings):
    settings.DEBUG = False
    files = StaticFiles(location=tmp_path, base_url="/static/")
    files.hashed_files = {"a.css": "a.1.css"}
    assert files.url("a.css") == files.url("a.css") == "/static/a.1.css"
    (tmp_path / "a.css").write_text("body {}")
    assert [done for _name, _hashed, done in files.post_process({"a.css": (files, "a.css")})] == [True]
    again = files.url("a.css")
    assert again.startswith("/static/a.") and again not in ("/static/a.1.css", "/static/a.css")
    with pytest.raises(ValueError, match=r"b\.css"):
        files.url("b.css")
