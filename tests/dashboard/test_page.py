"""The page in a real Chromium, over real processes and a real Redis."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from freshwell import Batch, Cache, Outcome
from tests.dashboard.serving import Site, browser, served
from tests.support.plugin import MakeServer
from tests.support.servers import Server
from tests.support.threads import until

pytestmark = pytest.mark.slow

SHOTS = os.environ.get("FRESHWELL_SHOTS")
"""A folder that pictures of the page are put into, for people to look at."""


class Moody:
    """A source that refuses what it is given until it has been cheered up."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.cheerful = False

    def load(self, id: Any, /) -> Any:
        return self.rows.get(id)

    def save_many(self, batch: Batch[Any, Any], /) -> dict[Any, Outcome]:
        if not self.cheerful:
            return {write.id: Outcome.reject("<b>too long</b>") for write in batch.writes}
        self.rows |= {write.id: write.value for write in batch.writes}
        return {}


@pytest.fixture
def redis(make_redis: MakeServer) -> Server:
    """Give a server that may have journals."""
    return make_redis(aof=True)


@pytest.fixture
def cache(redis: Server) -> Iterator[Cache]:
    """Give a cache that publishes, and that has been read."""
    with Cache(redis.url, namespace="shop") as cache:
        cache.publish(0.1, keys=True)
        for number in range(20):
            cache.get_or_load(f"price:{number % 5}", lambda: 1)
        yield cache


@pytest.fixture
def site(redis: Server) -> Iterator[Site]:
    """Give the dashboard of the cache's Redis."""
    with served(redis.url) as site:
        yield site


def text(page: Any, place: str) -> str:
    return str(page.find_element(By.ID, place).text)


def errors(page: Any) -> list[str]:
    """Return what the browser complained of."""
    return [entry["message"] for entry in page.get_log("browser")]


def shoot(page: Any, name: str) -> None:
    if SHOTS is not None:
        page.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def test_values_move_while_a_workload_runs(cache: Cache, site: Site) -> None:
    with browser() as page:
        page.get(site.url)
        until(lambda: text(page, "connection") == "live")
        until(lambda: "shop" in text(page, "processes"))
        assert "#" not in page.current_url  # the token is not left in the address
        before = text(page, "hot")
        for _ in range(30):
            cache.get("wanted", read="fresh")
        until(lambda: "wanted" in text(page, "hot"))
        assert text(page, "hot") != before
        assert len(page.find_elements(By.CSS_SELECTOR, ".chart canvas")) == 5
        until(lambda: int(page.execute_script("return looks.length")) > 3)
        times = page.execute_script("return charts[0].plot.axes[0]._values")
        assert times
        assert all(re.fullmatch(r"\d\d:\d\d:\d\d", time) for time in times)  # side by side
        shoot(page, "wide")
        assert errors(page) == []


def test_a_dead_letter_is_retried_from_the_page(cache: Cache, site: Site) -> None:
    source = Moody()
    users = cache.write_behind(source, key="user:{}", journal="redis", name="users", type=Any)
    with users, browser() as page:
        users.put(7, {"name": "Ada"})
        users.flush(timeout=20)
        page.get(site.url)
        until(lambda: "1 dead" in text(page, "journals"))
        assert "<b>too long</b>" in text(page, "journals")  # as text, not as markup
        source.cheerful = True
        shoot(page, "letters")
        click(page, "retry the write of user:7")
        until(lambda: "accepted anew" in text(page, "letters-said"))
        until(lambda: source.rows == {7: {"name": "Ada"}})
        until(lambda: "0 dead" in text(page, "journals"))
        assert errors(page) == []


def test_a_letter_is_dropped_once_that_is_confirmed(cache: Cache, site: Site) -> None:
    users = cache.write_behind(Moody(), key="user:{}", journal="redis", name="users", type=Any)
    with users, browser() as page:
        users.put(7, {"name": "Ada"})
        users.flush(timeout=20)
        page.get(site.url)
        until(lambda: "1 dead" in text(page, "journals"))
        click(page, "drop the write of user:7")
        page.switch_to.alert.dismiss()
        assert "1 dead" in text(page, "journals")
        click(page, "drop the write of user:7")
        page.switch_to.alert.accept()
        until(lambda: "0 dead" in text(page, "journals"))


def click(page: Any, label: str) -> None:
    """Press a button by its label, with the keyboard, as soon as it stands still."""

    def pressed() -> bool:
        try:
            button = page.find_element(By.CSS_SELECTOR, f"button[aria-label='{label}']")
            button.send_keys(Keys.ENTER)
        except (NoSuchElementException, StaleElementReferenceException):
            return False
        return True

    until(pressed, f"a button to {label}")


def test_a_wrong_token_is_refused_and_a_right_one_put_in_its_place(
    cache: Cache, site: Site
) -> None:
    source = Moody()
    users = cache.write_behind(source, key="user:{}", journal="redis", name="users", type=Any)
    with users, browser() as page:
        users.put(7, {"name": "Ada"})
        users.flush(timeout=20)
        page.get(site.url.partition("#")[0] + "#not-the-token-of-this-page")
        until(lambda: "1 dead" in text(page, "journals"))
        source.cheerful = True
        click(page, "retry the write of user:7")
        until(lambda: "missing or wrong" in text(page, "letters-said"))
        assert source.rows == {}
        field = page.find_element(By.ID, "token")
        field.send_keys(site.token, Keys.ENTER)
        click(page, "retry the write of user:7")
        until(lambda: source.rows == {7: {"name": "Ada"}})
        # The browser itself logs the refusal; the page has nothing to add.
        assert [line for line in errors(page) if "401" not in line] == []


@pytest.mark.parametrize(
    ("width", "dark"),
    [(360, False), (360, True), (1440, True)],
    ids=["small", "small dark", "dark"],
)
def test_it_fits_any_width_and_reads_in_light_and_dark(
    cache: Cache, site: Site, width: int, dark: bool
) -> None:
    with browser(width=width, dark=dark) as page:
        page.get(site.url)
        until(lambda: "shop" in text(page, "processes"))
        wide = page.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
        shoot(page, f"{width}-{'dark' if dark else 'light'}")
        back, ink = page.execute_script(
            "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        )
        assert (brightness(back) < brightness(ink)) is dark
        assert contrast(back, ink) > 7
        soft = page.execute_script("return getComputedStyle(document.querySelector('dt')).color")
        panel = page.execute_script(
            "return getComputedStyle(document.querySelector('section')).backgroundColor"
        )
        assert contrast(panel, soft) > 4.5
        assert errors(page) == []


def test_all_of_it_is_reached_by_the_keyboard(cache: Cache, site: Site) -> None:
    with browser() as page:
        page.get(site.url)
        until(lambda: "shop" in text(page, "processes"))
        reached = set()
        for _ in range(12):
            page.switch_to.active_element.send_keys(Keys.TAB)
            active = page.switch_to.active_element
            reached.add(active.get_attribute("id") or active.get_attribute("class"))
        assert {"namespace", "token", "letters-again", "skip"} <= reached


def test_one_cache_is_chosen_from_several(cache: Cache, redis: Server, site: Site) -> None:
    with Cache(redis.url, namespace="other") as other, browser() as page:
        other.publish(0.1)
        other.get("a")
        page.get(site.url)
        until(lambda: "other" in text(page, "processes") and "shop" in text(page, "processes"))
        page.find_element(By.ID, "namespace").send_keys("shop")
        until(lambda: "other" not in text(page, "processes"))
        assert "shop" in text(page, "processes")


def channels(color: str) -> list[float]:
    return [float(part) / 255 for part in color.partition("(")[2].rstrip(")").split(",")[:3]]


def brightness(color: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)
