"""The gallery of chapters on the front page, with thumbnails made from their own figures."""

import base64
import io
import json
from pathlib import Path

from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.notebook.chapters import select
from src.book.site.pages.evidence import of_paper
from src.book.site.pages.markup import Link, Section, beside, paragraphs, render
from src.book.storage import paths
from src.book.storage.files import keep_only

WIDTH = 480  # pixels of a thumbnail; a card is narrower on most screens
_COLOURS = 96  # enough for drawings and heat maps, at a third of the bytes
_FOLDER = "_static/thumbnails"


def gallery(link: Link) -> list[Section]:
    """Return a card for each chapter, in the order of the parts."""
    cards = [_card(chapter, link) for chapter in _chapters()]
    if not cards:
        return [paragraphs("The book has no chapter yet.")]
    return [Section(render("chapter.gallery", link, cards))]


def write_thumbnails(site: Path) -> None:
    """Write a small PNG of few colours into a rendered site for each chapter that has a figure."""
    from PIL import Image

    folder = site / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {_name(c): figure for c in _chapters() if (figure := _first_figure(c))}
    keep_only(folder, set(wanted))
    for name, figure in wanted.items():
        with Image.open(io.BytesIO(figure["png"])) as image:
            size = (figure["width"], figure["height"])
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small = small.quantize(_COLOURS, dither=Image.Dither.NONE)
        small.save(folder / name, "PNG", optimize=True)


def _first_figure(chapter: str) -> dict | None:
    """Return the first figure of a chapter's page: its PNG, description, size as a thumbnail."""
    page = _staged(chapter)
    if not page.exists():
        return None
    for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            about = output.get("metadata", {}).get("book", {})
            if "alt" in about and "image/png" in output["data"]:
                png = base64.b64decode("".join(output["data"]["image/png"]))
                height = round(WIDTH * about["height"] / about["width"])
                alt = " ".join(about["alt"].split())
                return {"png": png, "alt": alt, "width": WIDTH, "height": height}
    return None


def _chapters() -> list[str]:
    """Return the chapters that have a page: all on the stage, else those with a reference."""
    shown = [
        chapter.name
        for chapter in select()
        if _staged(chapter.name).exists() or chapter.pair.exists()
    ]
    return [name for part in catalogue.PARTS for name in shown if name.startswith(f"{part}/")]


def _staged(chapter: str) -> Path:
    return paths.build_dir() / "stage" / "chapters" / f"{chapter}.ipynb"


def _name(chapter: str) -> str:
    return f"{chapter.replace('/', '-')}.png"


def _card(chapter: str, link: Link) -> dict[str, object]:
    papers = catalogue.chapters().get(chapter, [])
    return {
        "chapter": chapter,
        "part": catalogue.PARTS[chapter.split("/")[0]],
        "figure": _first_figure(chapter),
        "thumbnail": beside(link, f"{_FOLDER}/{_name(chapter)}"),
        "idea": _idea(papers) if papers else "",
        "verdicts": [e.verdict for paper in papers for e in of_paper(paper)],
    }


def _idea(papers: list[Paper]) -> str:
    """Return the idea of a chapter's paper; of several papers, their number and years."""
    if len(papers) == 1:
        idea = papers[0].idea.rstrip(".")
        return f"{idea[0].upper()}{idea[1:]}."
    years = sorted({paper.year for paper in papers})
    when = f"from {years[0]} to {years[-1]}" if len(years) > 1 else f"of {years[0]}"
    return f"{len(papers)} papers {when}, side by side."
