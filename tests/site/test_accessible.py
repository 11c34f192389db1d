"""The repairs of what the theme writes: each is made, and made once."""

from src.book.site.finish import mend

THEIRS = """\
<dialog id="pst-search-dialog"></dialog>
<dialog id="pst-primary-sidebar-modal"></dialog>
<div id="pst-primary-sidebar" class="bd-sidebar">
<summary aria-label="Toggle hidden content">
<tr><th class="head"></th><th><p> </p></th><th class="head"><p>name</p></th></tr>
<div class="math notranslate nohighlight" id="e">
<dialog id="pst-secondary-sidebar-modal"></dialog>
<div id="pst-secondary-sidebar" class="bd-toc">
"""


def test_landmarks_dialogs_folds_and_tables_are_mended():
    mended = mend(THEIRS)
    assert '<dialog id="pst-search-dialog" aria-label="Search">' in mended
    assert '<dialog id="pst-primary-sidebar-modal" aria-label="Book">' in mended
    assert '<dialog id="pst-secondary-sidebar-modal" aria-label="On this page">' in mended
    assert 'role="navigation" aria-label="Book" class="bd-sidebar"><form method="dialog"' in mended
    assert 'id="pst-secondary-sidebar" class="bd-toc"><form method="dialog"' in mended
    assert "<summary>" in mended
    assert '<div class="math notranslate nohighlight" tabindex="0" id="e">' in mended
    assert '<td></td><td></td><th class="head"><p>name</p></th>' in mended


def test_a_mended_page_stays_as_it_is():
    assert mend(mend(THEIRS)) == mend(THEIRS)
