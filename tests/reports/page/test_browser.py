"""The page in a real browser: opened from disk, sorted, filtered, in the dark, on a phone, and on paper."""

from __future__ import annotations

import base64
import os
import shutil

import pandas as pd
import pytest

from jacobench.reports.page.html_page import page

from .conftest import HOSTILE

pytestmark = pytest.mark.long

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

if not (CHROMIUM and DRIVER) and not os.environ.get("CI"):
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)

webdriver = pytest.importorskip("selenium.webdriver")
wait = pytest.importorskip("selenium.webdriver.support.wait")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    downloads = tmp_path_factory.mktemp("downloads")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    found.downloads = downloads
    yield found
    found.quit()


@pytest.fixture(scope="module")
def path(tmp_path_factory, every_status):
    """Return the page of the run with every status."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page([every_status]), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, path):
    """Open the page, and check at the end that the console stayed empty."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(path.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert browser.title == "jacobench: standard"  # not what a hostile name would have it be


def column(browser, name):
    script = """
        return [...document.querySelectorAll(`tbody .c-${arguments[0]}`)]
            .filter(cell => !cell.closest("tr").hidden).map(cell => cell.dataset.key ?? cell.textContent)"""
    return browser.execute_script(script, name)


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def test_a_number_column_sorts_by_number_down_and_back(opened):
    before = column(opened, "peak_bytes")
    heading = "th.c-peak_bytes button"
    click(opened, heading)
    rising = column(opened, "peak_bytes")
    numbers = [float(value) for value in rising if value]
    assert numbers == sorted(numbers)
    assert rising[-1] == ""  # what is missing comes last
    state = "return document.querySelector('th.c-peak_bytes').getAttribute('aria-sort')"
    assert opened.execute_script(state) == "ascending"
    click(opened, heading)
    falling = [float(value) for value in column(opened, "peak_bytes") if value]
    assert falling == sorted(numbers, reverse=True)
    click(opened, heading)
    assert column(opened, "peak_bytes") == before
    assert opened.execute_script(state) is None


def test_a_text_column_sorts_names_with_numbers_as_people_do(opened):
    click(opened, "th.c-case button")
    widths = [int(case.split("-")[1][1:]) for case in column(opened, "case")]
    assert widths == sorted(widths)


def test_filtering_leaves_the_rows_with_all_words(opened):
    field = opened.find_element("css selector", ".filter input")
    field.send_keys("DENSE timeout")
    assert column(opened, "status") == ["timeout"]
    assert opened.find_element("css selector", ".count").text == "1 of 27 rows"
    field.clear()
    field.send_keys("<script>")
    assert set(column(opened, "strategy")) >= {HOSTILE}


def test_columns_hide_without_javascript_and_come_back(opened):
    visible = "return getComputedStyle(document.querySelector('td.c-width')).display"
    assert opened.execute_script(visible) == "none"
    click(opened, "#run0-show-width")
    assert opened.execute_script(visible) == "table-cell"


def test_what_is_shown_is_exported(opened):
    opened.find_element("css selector", ".filter input").send_keys("dense crashed")
    click(opened, "button.export-shown")
    target = opened.downloads / "2026-11-23T08-30-00-a1b2c3-shown.csv"
    wait.WebDriverWait(opened, 10).until(lambda _: target.exists())
    rows = pd.read_csv(target)
    assert rows[["strategy", "status"]].to_numpy().tolist() == [["dense", "crashed"]]
    assert rows["reason"].tolist() == [f"because {HOSTILE}"]


def test_the_keyboard_alone_sorts(opened):
    opened.execute_script("document.querySelector('th.c-case button').focus()")
    opened.switch_to.active_element.send_keys("\n")
    assert opened.execute_script("return document.querySelector('th.c-case').getAttribute('aria-sort')") == "ascending"


def luminance(browser, script):
    red, green, blue = (int(part) for part in browser.execute_script(script).strip("rgba()").split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_paper_ink_and_pictures_follow_the_colour_scheme(opened, scheme, dark):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    paper = luminance(opened, "return getComputedStyle(document.body).backgroundColor")
    ink = luminance(opened, "return getComputedStyle(document.body).color")
    drawn = luminance(opened, "return getComputedStyle(document.querySelector('figure svg text')).fill")
    assert (paper < 60) == dark
    assert (ink > 180) == (drawn > 180) == dark


def test_a_phone_scrolls_in_one_direction_only(opened):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 390


def test_a_long_decision_is_broken_into_lines(opened):
    size = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    doubt = " and ".join(
        f"{name} runs at 2.74× its limit and could win" for name in ("dense", "sparse", "dense-blocks")
    )
    script = """
        const box = document.querySelector("[aria-label='Recommendations']");
        box.querySelector("td:nth-child(3)").textContent = arguments[0];
        return [box.scrollWidth, box.clientWidth]"""
    needed, width = opened.execute_script(script, f"clearly, but {doubt}")
    assert needed <= width


def test_it_prints(opened):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display"
    assert opened.execute_script(shown, ".tools") == "none"
    assert luminance(opened, "return getComputedStyle(document.body).color") < 60  # dark ink, whatever the screen
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_all_is_there_without_javascript(browser, path):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(path.as_uri())
        assert len(browser.find_elements("css selector", ".records tbody tr")) == 27
        assert not browser.find_element("css selector", ".filter").is_displayed()
        assert not browser.find_elements("css selector", "th button")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
