"""Words that look like XML stay words: a definition has no element more for them."""

from dataclasses import replace

import pytest
from lxml import etree

from broker.virt.driver import NicSpec
from broker.virt.drivers.libvirt.domain_xml.build import apply, fresh
from broker.virt.drivers.libvirt.domain_xml.machine import Machine

from .test_domain_xml import SPEC

HOSTILE = (
    "</title><devices><hostdev mode='subsystem' type='pci'/></devices><title>", "]]><devices/>", "<!-- ", "--><x/>",
    "&lt;x/&gt;", "<?xml version='1.0'?>", "' onload='x", '"/><serial type="file"><source path="/etc/passwd"/>',
    "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-x'/></q:commandline>",
)  # fmt: skip


def shape(text: str) -> list[str]:
    return [element.tag for element in etree.fromstring(text).iter()]


@pytest.mark.parametrize("words", HOSTILE)
def test_words_stay_words(words):
    """Row S18: markup in names, texts, addresses and paths."""
    path = f"/srv/{words}"
    spec = replace(
        SPEC, title=words, mark=words, disks=(replace(SPEC.disks[0], path=path, serial=words),),
        nics=(NicSpec(mac=SPEC.nics[0].mac, network=words),),
    )  # fmt: skip
    made, plain = fresh(spec, emulated=True).xml(), fresh(SPEC, emulated=True).xml()
    assert shape(made) == shape(plain)
    root = etree.fromstring(made)
    assert root.findtext("title") == words
    assert root.find("devices/disk/source").get("file") == path
    assert root.find("devices/interface/source").get("network") == words
    changed = Machine.parse(plain)
    apply(spec, changed)
    assert shape(changed.xml()) == shape(plain)
