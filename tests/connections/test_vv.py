"""The file for remote-viewer."""

import configparser

import pytest

from broker.connections.vv import offers_file, viewer_file
from broker.core.errors import Conflict, Missing

pytestmark = pytest.mark.django_db


def test_a_screen_behind_the_gateway_has_no_file_and_says_what_to_do(setting):
    assert not offers_file(setting.vm)
    with pytest.raises(Conflict) as info:
        viewer_file(setting.actor(), setting.vm)
    assert "browser" in info.value.fix


def test_the_file_names_the_screen_and_deletes_itself(setting):
    setting.vm.consoles = [
        {"kind": "vnc", "unix": "/x"},
        {"kind": "spice", "host": "h.example", "port": 5902, "tls": True},
    ]
    setting.vm.title = "Desk\nhost=evil.example"
    text = viewer_file(setting.actor(), setting.vm)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    values = dict(parser["virt-viewer"])
    assert values["type"] == "spice"
    assert values["host"] == "h.example"
    assert values["tls-port"] == "5902"
    assert values["delete-this-file"] == "1"
    assert not {"password", "token", "username"} & set(values)
    assert text.count("host=") == 2, "the second is within the title"
    assert values["title"] == "Deskhost=evil.example"


def test_a_stranger_gets_no_file(setting):
    with pytest.raises(Missing):
        viewer_file(setting.actor("charlie"), setting.vm)
