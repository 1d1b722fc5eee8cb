"""What a reader does with the site: open, switch, point, search, tab, print."""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

SITE = Path(os.environ.get("TETRAPLA_SITE", "build/site")).resolve()
PAGES = sorted(
    path
    for path in (p.relative_to(SITE).as_posix() for p in SITE.glob("**/*.html"))
    if not path.startswith("_static/")
)
SHOTS = SITE.parent / "screenshots"
CODE = "columns/optimizers.html"
ADAM = "#columns-adam"
COLUMNS = ["numpy", "torch", "tf", "jax"]

# Pages of one kind are built alike: one of each is looked at more closely.
KINDS = (
    "index.html",
    "lecture/21-optimizers.html",
    "lecture/30-play.html",
    "columns/optimizers.html",
    "pitfalls/zero-grad.html",
    "reference/contract.html",
    "_generated/atlas.html",
)


def test_the_site_is_there():
    assert len(PAGES) > 60
    assert set(KINDS) <= set(PAGES)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_from_a_folder(watched, path):
    site = watched()
    page = site.open(path)
    page.wait_for_timeout(150)
    assert site.complaints == []
    broken = page.evaluate(
        "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []
    without = page.evaluate("[...document.images].filter(i => !i.alt).map(i => i.src)")
    assert without == []
    hidden = page.evaluate(
        "[...document.querySelectorAll('div.math')].filter(e => e.scrollWidth >"
        " e.clientWidth + 1).map(e => e.textContent.slice(0, 60))"
    )
    assert hidden == []
    for width in (1600, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"at {width} the page is {wide} too wide"


LINES = """[...document.querySelectorAll('.tp-line')].filter(e => e.offsetParent)"""
WIDE = [CODE, "columns/layers.html", "columns/library.html", "lecture/22-all-together.html"]


@pytest.mark.parametrize("width", [1600, 1920])
@pytest.mark.parametrize("path", WIDE)
def test_four_columns_clip_no_code(watched, path, width):
    page = watched(width=width).open(path)
    clipped = page.evaluate(
        """[...document.querySelectorAll('.tp-column, .tp-step, .tp-line')]
        .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display
        !== 'none').map(e => e.textContent.slice(0, 60))"""
    )
    assert clipped == []
    sizes = page.evaluate(f"{LINES}.map(e => parseFloat(getComputedStyle(e).fontSize))")
    assert min(sizes) >= 10
    wrapped = page.evaluate(
        f"""{LINES}.map(e => e.getBoundingClientRect().height >
        1.9 * parseFloat(getComputedStyle(e).lineHeight))"""
    )
    assert sum(wrapped) < 0.1 * len(wrapped)  # nine lines of ten fit
    if path == CODE:
        tops = page.evaluate(
            f"""[...document.querySelectorAll('{ADAM} [data-row="6"]')]
            .map(e => Math.round(e.getBoundingClientRect().top))"""
        )
        assert len(tops) == 4
        assert len(set(tops)) == 1


def test_a_column_and_the_one_that_calls_its_library_are_a_pair(watched):
    page = watched().open("columns/library.html")
    tops = page.evaluate(
        f"""[...document.querySelectorAll('{ADAM} .tp-column')]
        .map(e => [e.dataset.backend, e.getBoundingClientRect().top])"""
    )
    assert len(tops) == 6
    for (name, top), (library, beside) in zip(tops[::2], tops[1::2], strict=True):
        assert library == {"torch": "torch.nn", "tf": "tf.keras", "jax": "jax.flax"}[name]
        assert beside == top


def shown(page):
    return page.evaluate(
        f"""[...document.querySelectorAll('{ADAM} .tp-column')]
        .filter(e => e.offsetParent !== null).map(e => e.dataset.backend)"""
    )


def eventually(page, look, wanted):
    """Load a page again until it looks as wanted, for ten seconds at most.

    Chromium hands what a page stored to other processes in its own time: one
    that opens within milliseconds may have missed it, until it is loaded again.
    """
    for _ in range(40):
        if look(page) == wanted:
            break
        page.wait_for_timeout(250)
        page.reload()
    return look(page)


def test_columns_are_switched_and_remembered(watched):
    site = watched()
    page = site.open(CODE)
    assert shown(page) == COLUMNS
    for name in ("numpy", "tf"):
        page.click(f"{ADAM} .tp-switch[data-backend={name}]")
    assert shown(page) == ["torch", "jax"]
    page = site.open("columns/losses.html")
    page = site.open(CODE)
    assert eventually(page, shown, ["torch", "jax"]) == ["torch", "jax"]
    for name in ("torch", "jax"):  # the last one stays
        page.click(f"{ADAM} .tp-switch[data-backend={name}]")
    assert shown(page) == ["jax"]
    assert site.complaints == []


def test_a_link_to_a_column_shows_it(watched):
    site = watched()
    page = site.open(CODE)
    page.click(f"{ADAM} .tp-switch[data-backend=torch]")
    page = site.open(CODE, f"{ADAM}-torch")
    page.reload()
    assert "torch" in shown(page)


def test_tabs_on_a_phone_go_together(watched):
    page = watched(width=390, height=844).open(CODE)
    assert shown(page) == ["numpy"]
    page.click(f"{ADAM} .tp-tab[data-backend=jax]")
    assert shown(page) == ["jax"]
    others = page.evaluate(
        "[...document.querySelectorAll('.tp-tab[aria-selected=true]')]"
        ".map(e => e.dataset.backend)"
    )
    assert set(others) == {"jax"}
    page.focus(f"{ADAM} .tp-tab[data-backend=jax]")
    page.keyboard.press("ArrowLeft")
    assert shown(page) == ["tf"]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_paper_is_light_and_has_all_columns_aligned(watched):
    page = watched(width=1047, scheme="dark").open(CODE)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    steps = f"document.querySelectorAll('{ADAM} [data-row=\"6\"]')"
    boxes = page.evaluate(
        f"[...{steps}].map(e => e.getBoundingClientRect()).map(b => [b.top, b.left])"
    )
    tops, lefts = zip(*boxes, strict=True)
    assert len(boxes) == len(set(lefts)) == 4
    assert len(set(tops)) == 1
    assert not page.is_visible(".bd-header")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_where_four_columns_are_too_narrow_two_stand_below(watched):
    page = watched(width=1024).open(CODE)
    boxes = page.evaluate(
        f"""[...document.querySelectorAll('{ADAM} .tp-column')]
        .map(e => e.getBoundingClientRect()).map(b => [b.left, b.top])"""
    )
    (a, b, c, d) = boxes
    assert a[0] == c[0] < b[0] == d[0]
    assert a[1] == b[1] < c[1] == d[1]
    assert shown(page) == COLUMNS


def test_the_names_stay_above_their_columns(watched):
    page = watched().open(CODE, ADAM)
    page.mouse.wheel(0, 400)
    page.wait_for_timeout(200)
    column, head, bar = (
        page.evaluate(f"document.querySelector('{each}').getBoundingClientRect().toJSON()")
        for each in (f"{ADAM}-jax", f"{ADAM}-jax .tp-head", ".bd-header")
    )
    assert column["top"] < bar["bottom"] - 50
    assert abs(head["top"] - bar["bottom"]) <= 2


def lit(page):
    return page.evaluate(
        f"""[...document.querySelectorAll('{ADAM} .tp-lit')]
        .map(e => [e.closest('.tp-column').dataset.backend, e.dataset.row])"""
    )


def test_pointing_at_a_step_lights_it_in_all(watched):
    page = watched().open(CODE)
    page.hover(f"{ADAM} [data-backend=torch] [data-row='5']")
    assert lit(page) == [[name, "5"] for name in COLUMNS]
    page.hover("h1")
    assert lit(page) == []


def test_a_step_can_be_reached_by_keyboard(watched):
    page = watched().open(CODE)
    page.focus(f"{ADAM}-jax .tp-copy")
    page.keyboard.press("Tab")
    assert lit(page) == [[name, "1"] for name in COLUMNS]
    page.keyboard.press("ArrowDown")
    assert lit(page) == [[name, "2"] for name in COLUMNS]
    page.keyboard.press("Tab")  # one stop for a column's steps
    assert lit(page) == []


def test_a_link_to_a_step_lights_it(watched):
    page = watched().open(CODE, f"{ADAM}-torch-5")
    assert lit(page) == [[name, "5"] for name in COLUMNS]
    step = page.evaluate(
        f"document.querySelector('{ADAM}-torch-5').getBoundingClientRect().toJSON()"
    )
    assert 0 < step["top"] < 900


def test_switching_a_column_leaves_the_page_where_it_is(watched):
    page = watched().open("lecture/21-optimizers.html")
    button = page.locator("#columns-adam .tp-switch[data-backend=tf]")
    button.scroll_into_view_if_needed()
    before = button.bounding_box()["y"]
    button.click()
    assert abs(button.bounding_box()["y"] - before) <= 1


def test_without_scripts_all_columns_are_there(browser):
    for width in (390, 1600):
        context = browser.new_context(
            java_script_enabled=False, viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        page.goto(f"file://{SITE}/{CODE}")
        columns = page.locator(f"{ADAM} .tp-column").all()
        assert [c.get_attribute("data-backend") for c in columns] == COLUMNS
        assert all(c.is_visible() for c in columns)
        context.close()


def theme(page):
    return page.evaluate("document.documentElement.dataset.theme")


def test_the_reader_chooses_light_or_dark(watched):
    page = watched().open(CODE)
    page.click(".theme-switch-button")
    page.click(".theme-change-button[data-mode=dark]")
    assert theme(page) == "dark"
    page.click("text=Pitfalls")
    page.wait_for_selector("h1:has-text('Pitfalls')")
    assert eventually(page, theme, "dark") == "dark"


def test_search_opens_from_the_keyboard(watched):
    page = watched().open("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("adam")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    assert "Adam" in page.inner_text("#search-results") or "adam" in page.url


def test_a_column_is_copied_word_for_word(watched, served):
    site = watched()
    site.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = site.page
    page.goto(f"{served}/{CODE}")
    page.click(f"{ADAM}-torch .tp-copy")
    copied = page.evaluate("navigator.clipboard.readText()")
    source = Path(__file__).parents[2] / "impls" / "torch" / "optimizers.py"
    text = source.read_text(encoding="utf-8")
    _, _, after = copied.partition("class Adam(Optimizer):")
    assert f"class Adam(Optimizer):{after.rstrip()}" in text


def test_search_finds_a_chapter(watched):
    site = watched()
    page = site.open("search.html", "?q=dropout")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() > 3
    assert site.complaints == []


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(watched, path, scheme):
    page = watched(scheme=scheme).open(path)
    page.wait_for_timeout(300)
    found = Axe().run(page).response["violations"]
    grave = [
        f"{v['id']}: {node['html'][:120]}"
        for v in found
        if v["impact"] in ("critical", "serious")
        for node in v["nodes"][:3]
    ]
    assert grave == []


@pytest.mark.parametrize("path", KINDS)
def test_it_is_looked_at(watched, path):
    """Screenshots to look at, at four widths, light and dark."""
    SHOTS.mkdir(exist_ok=True)
    for width in (390, 1024, 1600, 1920):
        for scheme in ("light", "dark"):
            page = watched(width=width, scheme=scheme).open(path)
            page.wait_for_timeout(300)
            name = f"{path.replace('/', '-').removesuffix('.html')}-{width}-{scheme}.png"
            page.screenshot(path=SHOTS / name)
            assert (SHOTS / name).stat().st_size > 5000
