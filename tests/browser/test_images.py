"""An image is uploaded from the browser, breaks off and goes on; the pages around it are accessible."""

import pytest
from django.urls import reverse

from broker.virt import uploads
from broker.virt.models import Image, ImageSource, InstanceType
from tests.browser.test_pages import violations
from tests.browser.test_versions import shoot

pytestmark = pytest.mark.browser


def test_an_upload_breaks_off_and_goes_on(site, visit, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    content = bytes(range(256)) * (132 << 10)  # two pieces
    file = tmp_path / "debian 12.iso"
    file.write_bytes(content)
    page = visit("root", reverse("portal:image-upload"), theme="dark", phone=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    page.set_input_files("#upload-file", file)
    assert page.input_value("#upload-name") == "debian-12.iso" and page.input_value("#upload-kind") == "iso"

    def cut(route):
        route.abort() if route.request.headers["upload-offset"] != "0" else route.continue_()

    page.route("**/data/", cut)
    page.focus("#upload-sha256")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]:not([hidden])")
    assert Image.objects.get().received_bytes == 32 << 20
    assert violations(page) == []
    page.unroute("**/data/", cut)
    page.click("button.btn-primary")
    page.wait_for_url("**/manage/images/")
    image = Image.objects.get()
    assert (image.state, image.received_bytes) == ("importing", len(content))
    assert uploads.path_of(image.pk).read_bytes() == content
    ImageSource.objects.create(host="cloud.example", private=True)
    kind = InstanceType.objects.create(name="wide", vcpus=4, memory_mib=4096, options={"cores": 4}, description="Wide")
    for name, more in (
        ("images", []), ("image", [image.pk]), ("image-edit", [image.pk]), ("vm-new", []), ("image-fetch", []),
        ("image-sources", []), ("image-source-new", []), ("instance-types", []), ("instance-type-edit", [kind.pk]),
        ("vm-resize", [site.server.pk]),
    ):  # fmt: skip
        page.goto(reverse(f"portal:{name}", args=more))
        shoot(page, f"{name}-dark")
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
