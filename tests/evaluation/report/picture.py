"""The README's picture of a report: `python -m tests.evaluation.report.picture REPORT.html PICTURE.png`.

A desk's window on the head of the page and a phone's, dark, on its utterances, side by side.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

DESK, PHONE = (1180, 1235), (390, 1235)
SCALE, MARGIN = 1.2, 30
FIND = """
document.documentElement.style.scrollBehavior = "auto";
const {system, sort, audio} = document.getElementById("filters").elements;
system.selectedIndex = system.length - 1;
sort.value = "better";
audio.click();
document.getElementById("matches").scrollIntoView();
window.scrollBy(0, -70);
"""


def main(page: Path, picture: Path) -> None:
    """Take both and put them beside each other."""
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        desk = window(driver, page, DESK, "light", "")
        phone = window(driver, page, PHONE, "dark", FIND)
    finally:
        driver.quit()
    margin = int(MARGIN * SCALE)
    size = (desk.width + phone.width + margin, desk.height)
    joined = Image.new("RGB", size, "white")
    joined.paste(desk, (0, 0))
    joined.paste(phone, (desk.width + margin, 0))
    few = joined.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)


def window(
    driver: webdriver.Chrome, page: Path, size: tuple[int, int], scheme: str, script: str
) -> Image.Image:
    """A screenshot of a window of a size, after a script."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": SCALE, "mobile": size[0] < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    driver.get(page.resolve().as_uri())
    driver.execute_script(script)
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
