"""The page in a real browser, opened from disk: Debian's chromium, headless."""

import io
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

from asrkd.commands.report import ReportRequest, report
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, parse_rules, score_utterances
from asrkd.scoring.score_files import write_score

pytestmark = pytest.mark.slow  # together they take half a minute

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
)
PATIENCE_S = 20
STILL = {"prefers_reduced_motion": "reduce"}


@pytest.fixture(scope="module")
def browser(need: Callable[..., str]) -> Iterator[WebDriver]:
    """Chromium with its own driver, at given paths, so that selenium looks for nothing."""
    searched = need("chromium", "chromium", "chromedriver")
    options = Options()
    options.binary_location = str(shutil.which("chromium", path=searched))
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver", path=searched)))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, scored) -> WebDriver:
    """The report of three systems, open in a window of 1200 by 900; another page's log is forgotten."""
    out = scored.exp / "report.html"
    report(ReportRequest(scored.models, out))
    resize(browser, 1200)
    browser.get_log("browser")
    browser.get(out.as_uri())
    return browser


def resize(browser: WebDriver, width: int, **features: str) -> None:
    """Give the window a width, and media features their values; nothing moves by itself."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    listed = [{"name": name.replace("_", "-"), "value": value} for name, value in (features | STILL).items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})


def shown(page: WebDriver) -> list[str]:
    """The ids of the utterances in the list."""
    return [card.get_attribute("data-id") for card in page.find_elements(By.CSS_SELECTOR, "#list > li")]


def choose(page: WebDriver, name: str, text: str) -> None:
    """Choose what says ``text`` in a list of choices."""
    Select(page.find_element(By.NAME, name)).select_by_visible_text(text)


def wait(page: WebDriver, expression: str) -> None:
    """Wait until a JavaScript expression is true."""
    WebDriverWait(page, PATIENCE_S).until(lambda own: own.execute_script(f"return {expression}"))


def colors(page: WebDriver) -> np.ndarray:
    """The pixels of a screenshot, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB"))


def test_it_opens_from_disk_without_a_word_in_the_console(page):
    assert page.current_url.startswith("file://")
    assert page.get_log("browser") == []
    assert page.execute_script("return window.broken") is None
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert page.find_element(By.TAG_NAME, "h1").text == "exp / test"
    assert len(shown(page)) == 8


def test_a_screenshot_has_text_and_colors(page):
    pixels = colors(page)
    assert pixels.shape == (900, 1200, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert pixels.mean() > 200  # light paper
    dark = pixels.sum(axis=2) < 200
    assert 0.002 < dark.mean() < 0.2  # ink


def test_where_the_system_is_dark_the_page_is(page):
    resize(page, 1200, prefers_color_scheme="dark")
    assert colors(page).mean() < 60


def test_a_click_plays_a_clip_and_another_stops_it(page):
    card = page.find_element(By.CSS_SELECTOR, "#list > li[data-id=mended]")
    button = card.find_element(By.CSS_SELECTOR, "button.play")
    assert button.get_attribute("aria-label") == "Play mended"
    button.click()
    player = "document.getElementById('player')"
    wait(page, f"{player}.currentTime > 0.2")
    assert page.execute_script(f"return {player}.duration") == pytest.approx(1.9, abs=0.01)
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    wait(page, f"{player}.paused")
    WebDriverWait(page, PATIENCE_S).until(lambda _: button.get_attribute("aria-pressed") == "false")
    assert page.get_log("browser") == []


def test_a_clip_plays_to_its_end_and_the_next_starts_anew(page):
    first, second = page.find_elements(By.CSS_SELECTOR, "button.play")[:2]
    first.click()
    wait(page, "document.getElementById('player').ended")
    wait(page, "document.querySelector('button.play').getAttribute('aria-pressed') === 'false'")
    second.click()
    wait(page, "document.getElementById('player').currentTime > 0.1")
    assert second.get_attribute("aria-pressed") == "true"


def test_words_and_ids_are_searched_for(page):
    page.find_element(By.NAME, "q").send_keys("FIVE")
    assert sorted(shown(page)) == ["inherited", "inherited-too"]
    assert page.find_element(By.ID, "matches").text == "2 of 8 utterances"
    page.find_element(By.NAME, "q").clear()
    page.find_element(By.NAME, "q").send_keys("mend")
    assert shown(page) == ["mended"]


def test_kinds_of_errors_are_filtered_by_system(page):
    choose(page, "kind", "insertions")
    assert sorted(shown(page)) == ["hostile", "new", "silence"]
    choose(page, "system", "baseline")
    assert shown(page) == ["silence"]
    choose(page, "kind", "none at all")
    assert sorted(shown(page)) == ["all-right", "inherited", "inherited-too", "new"]
    choose(page, "system", "any system")
    choose(page, "kind", "inherited")
    assert sorted(shown(page)) == ["inherited", "inherited-too"]


def test_utterances_are_filtered_by_speaker_and_put_in_order(page):
    choose(page, "speaker", "bob")
    assert sorted(shown(page)) == ["hostile", "mended", "silence"]
    choose(page, "speaker", "all speakers")
    choose(page, "sort", "worse than …")
    choose(page, "system", "student")
    assert shown(page)[:2] == ["inherited-too", "new"]  # two errors, the baseline none
    choose(page, "sort", "longest")
    assert shown(page)[0] == "silence"


def test_a_confusion_leads_to_its_utterances(page):
    button = page.find_element(By.CSS_SELECTOR, "button.pair")
    assert button.text.replace("\n", "") == "nine→five"
    page.execute_script("arguments[0].click()", button)
    assert sorted(shown(page)) == ["inherited", "inherited-too"]
    chip = page.find_element(By.ID, "chip")
    assert "nine → five by student" in chip.text
    page.execute_script("arguments[0].click()", chip)
    assert len(shown(page)) == 8


def test_the_alignment_has_each_word_at_its_place(page):
    card = page.find_element(By.CSS_SELECTOR, "#list > li[data-id=new]")
    lines = [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in card.find_elements(By.TAG_NAME, "tr")
    ]
    assert lines[0] == ["open", "the", "door", ""]
    assert lines[1] == ["open", "the", "door", ""]
    assert [cell.split("\n")[0].split(" (")[0] for cell in lines[3]] == ["open", "a", "door", "+please"]


def test_hostile_words_are_shown_as_they_are(page):
    card = page.find_element(By.CSS_SELECTOR, "#list > li[data-id=hostile]")
    assert "</script><script>window.broken=1</script>" in card.text
    assert page.execute_script("return window.broken") is None


def test_an_id_that_every_object_of_the_language_has_is_an_id(browser, tmp_path):
    """Only what has a clip can be played, also where the id is that of an inherited property."""
    said = ReferenceUtterance("constructor", "one", "r", "ann")
    scored = score_utterances([said], {"constructor": "two"}, Rules())
    write_score(tmp_path / "finished", {"set": "test", "params": None, "search": None}, scored)
    report(ReportRequest([tmp_path / "finished"], tmp_path / "report.html"))
    browser.get((tmp_path / "report.html").as_uri())
    assert shown(browser) == ["constructor"]
    assert not browser.find_elements(By.CSS_SELECTOR, "button.play")


def test_characters_are_searched_and_shown_without_blanks(browser, tmp_path):
    said = [
        ReferenceUtterance(utt_id, text, "r", "ann")
        for utt_id, text in (("a", "今天 天气很好"), ("b", "我 去"))
    ]
    for unit in ("char", "mixed"):
        rules = parse_rules("levenshtein", "none", unit)
        scored = score_utterances(said, {"a": "今天天很好", "b": "他去"}, rules)
        write_score(tmp_path / unit, {"set": "test", "params": None, "search": None}, scored)
        report(ReportRequest([tmp_path / unit], tmp_path / f"{unit}.html"))
        browser.get((tmp_path / f"{unit}.html").as_uri())
        browser.find_element(By.NAME, "q").send_keys("天气很")
        assert shown(browser) == ["a"]
        assert len(browser.find_elements(By.CSS_SELECTOR, "#list tr.ref td")) == 6
        assert len(browser.find_elements(By.CSS_SELECTOR, "table.tight")) == (1 if unit == "char" else 0)


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_nothing_sticks_out_to_the_side(page, width):
    resize(page, width)
    assert page.execute_script("return innerWidth") == width
    needed, given = page.execute_script(
        "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]"
    )
    assert needed == given


def test_everything_that_can_be_used_has_a_name(page):
    nameless = page.execute_script(
        "return [...document.querySelectorAll('button, select, input, [role=img], [role=region], section')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.title"
        " || e.textContent.trim() || e.closest('label') || e.hidden))"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert nameless == []
