"""The page that plays a recording: by mouse, by keyboard, at any speed, back and forth."""

import pytest
from django.urls import reverse

from broker.events.models import Event
from broker.events.record import record
from broker.settings import env
from tests.recordings_help import COLOURS, EVERY, coloured, typed

from .test_pages import violations

pytestmark = pytest.mark.browser
LOADED = "body[data-tape=whole]"
PIXEL = """() => {
  const canvas = [...document.querySelectorAll('[data-stage] canvas')].at(-1);
  return Array.from(canvas.getContext('2d').getImageData(5, 5, 1, 1).data).slice(0, 3);
}"""


@pytest.fixture
def recording(site, tmp_path, monkeypatch):
    monkeypatch.setattr(env, "recordings_dir", tmp_path)
    return coloured(site.desktop, site.world.alice)


def shows(page, colour) -> None:
    for _try in range(200):
        if page.evaluate(PIXEL) == list(colour):
            return
        page.wait_for_timeout(50)
    raise AssertionError(page.evaluate(PIXEL))


def place(page) -> int:
    return int(page.locator("[data-bar]").input_value())


def test_it_plays_and_goes_to_any_place(site, visit, recording):
    red, green, blue = COLOURS
    record("vm.noted", actor=site.world.actor("root"), subject=site.desktop, message="Something was done to it")
    Event.objects.filter(kind="vm.noted").update(at=recording.began_at)
    page = visit("root", reverse("portal:recording", args=[recording.pk]))
    page.wait_for_selector(LOADED)
    assert Event.objects.filter(kind="recording.viewed").count() == 1

    page.get_by_label("Speed").select_option("16")
    page.get_by_role("button", name="Play").click()
    shows(page, red)
    page.wait_for_selector("body[data-film=playing]")
    page.get_by_text("The recording is over.").wait_for()
    shows(page, blue)
    assert place(page) == EVERY * len(COLOURS)

    page.get_by_role("button", name="The clipboard of the desktop").click()
    shows(page, green)
    page.get_by_role("button", name="Something was done to it").click()
    shows(page, red)
    assert place(page) == 0
    assert page.locator(".reel").count() == 1
    assert violations(page) == []
    assert Event.objects.filter(kind="recording.viewed").count() == 1, "one look, however much one goes about in it"


def test_the_keyboard_is_enough(visit, recording):
    page = visit("root", reverse("portal:recording", args=[recording.pk]))
    page.wait_for_selector(LOADED)
    page.locator("[data-bar]").focus()
    for _press in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("body[data-film=still]")
    assert place(page) == 25_000
    shows(page, COLOURS[1])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    shows(page, COLOURS[0])
    page.keyboard.press("Space")
    page.wait_for_selector("body[data-film=playing]")
    page.keyboard.press("Space")
    page.wait_for_selector("body[data-film=still]")


def test_a_video_tells_how_far_it_is_and_is_cancelled(visit, recording):
    page = visit("root", reverse("portal:recording", args=[recording.pk]))
    page.wait_for_selector(LOADED)
    video = page.get_by_role("link", name="Download as a video")
    held = []
    page.route("**/video*", lambda route: held.append(route))
    video.click()
    page.get_by_text("Reading the whole recording").wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled: no video was made.").wait_for()
    for route in held:
        route.abort()  # what is still held back when its route goes is sent to the server after all
    page.unroute_all()
    with page.expect_download(timeout=60_000) as download:
        video.click()
    page.get_by_text("The video is made").wait_for()
    assert download.value.suggested_filename == f"{recording.pk}.webm"
    made = download.value.path().read_bytes()
    told = "async bytes => (await import('/static/berth/js/recording/video.js')).timeIn(new Uint8Array(bytes))"
    assert 0 < page.evaluate(told, list(made)) <= EVERY * len(COLOURS), "where it is, as the file itself says"
    assert page.evaluate(told, list(made[:200])) in (-1, 0)


def test_a_serial_line_is_played_as_text(site, visit, recording):
    line = typed(site.desktop, site.world.alice)
    page = visit("root", reverse("portal:recording", args=[line.pk]))
    page.wait_for_selector(LOADED)
    rows = page.locator("[data-stage] .xterm-rows")
    rows.get_by_text("first").wait_for()
    assert "second" not in rows.text_content()
    page.locator("[data-bar]").focus()
    for _press in range(5):
        page.keyboard.press("ArrowRight")
    rows.get_by_text("second <b>").wait_for()
    assert "third" not in rows.text_content() and place(page) == 25_000
    page.get_by_label("Speed").select_option("16")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("The recording is over.").wait_for()
    rows.get_by_text("third").wait_for()
    assert place(page) == EVERY * len(COLOURS)
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("link", name="Download as a video").count() == 0
    assert violations(page) == []


def test_a_file_that_was_cut_off_plays_to_there_and_says_so(site, visit, recording):
    cut = coloured(site.desktop, site.world.alice, whole=False)
    page = visit("root", reverse("portal:recording", args=[cut.pk]))
    page.wait_for_selector("body[data-tape=broken]")
    assert page.get_by_text("breaks off here").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit_a_phone(visit, recording, theme):
    page = visit("root", reverse("portal:recording", args=[recording.pk]), theme=theme, phone=True)
    page.wait_for_selector(LOADED)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    page.goto(reverse("portal:recordings"))
    assert violations(page) == []
