"""Make docs/holm-hill-report-2023.pdf, the sample suite's PDF document.

The text is written for this project. The file has a fixed creation date and
uses core fonts only, so the same fpdf2 release gives the same bytes each time.

    python evals/suites/sample/make_pdf.py [output.pdf]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

DEFAULT_OUT = Path(__file__).parent / "docs" / "holm-hill-report-2023.pdf"

MONTHS = [
    # month, clear nights, hours of observing, visitors
    ("January", 7, 41, 96),
    ("February", 9, 52, 118),
    ("March", 10, 55, 164),
    ("April", 11, 48, 231),
    ("May", 9, 27, 187),
    ("June", 4, 8, 92),
    ("July", 5, 11, 143),
    ("August", 11, 44, 388),
    ("September", 10, 51, 276),
    ("October", 8, 47, 214),
    ("November", 7, 43, 129),
    ("December", 6, 39, 108),
]

INCOME = [
    ("Open-evening tickets", 17165),
    ("Grants", 21500),
    ("Donations", 7240),
    ("Sale of star charts", 2845),
]

SPENDING = [
    ("Wages", 19400),
    ("Repairs to buildings", 8320),
    ("New coating for the mirror", 6800),
    ("Heat and power", 6150),
    ("Insurance", 3150),
    ("Printing and post", 1500),
]


class Report(FPDF):
    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", "I", 9)
        self.cell(0, 8, f"Holm Hill Observatory, report for 2023 - page {self.page_no()}", align="C")

    def title_line(self, text: str) -> None:
        self.set_font("Helvetica", "B", 20)
        self.multi_cell(0, 10, text, new_x="LMARGIN", new_y="NEXT")
        self.ln(2)

    def heading(self, text: str) -> None:
        self.ln(2)
        self.set_font("Helvetica", "B", 14)
        self.multi_cell(0, 8, text, new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def para(self, text: str) -> None:
        self.set_font("Times", "", 12)
        self.multi_cell(0, 6, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(2.5)

    def rows(self, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], widths: tuple[int, ...]) -> None:
        for n, row in enumerate([head, *rows]):
            bold = n == 0 or row[0] == "Total"
            self.set_font("Helvetica", "B" if bold else "", 10)
            for k, (text, width) in enumerate(zip(row, widths, strict=True)):
                self.cell(width, 7, text, border=1, align="L" if k == 0 else "R")
            self.ln(7)
        self.ln(3)


def build() -> Report:
    nights = sum(m[1] for m in MONTHS)
    hours = sum(m[2] for m in MONTHS)
    visitors = sum(m[3] for m in MONTHS)
    income = sum(v for _, v in INCOME)
    spending = sum(v for _, v in SPENDING)

    pdf = Report(format="A4")
    pdf.set_creation_date(datetime(2024, 2, 20, 12, 0, 0, tzinfo=UTC))
    pdf.set_title("Holm Hill Observatory: Report for the Year 2023")
    pdf.set_author("Holm Hill Observatory")
    pdf.set_lang("en-GB")
    pdf.set_margins(22, 22, 22)
    pdf.set_auto_page_break(True, margin=22)

    # Page 1: the year in words
    pdf.add_page()
    pdf.title_line("Holm Hill Observatory\nReport for the Year 2023")
    pdf.para("Presented to the members at Port Ellery on 20 February 2024.")
    pdf.heading("The year in brief")
    pdf.para(
        f"The sky was kind to us. There were {nights} clear nights in 2023. The year before had given us "
        f"only 84, and the ten-year average is 89. We opened the slit for {hours} hours of "
        f"observing in all and welcomed {visitors:,} visitors, the most in any year since records "
        "of visitors began."
    )
    pdf.heading("The mirror")
    pdf.para(
        "The mirror of the Thorburn reflector was taken out in June, when the nights are too "
        "short to be missed. After nineteen years by the sea its aluminium coating had gone grey "
        "at the edge and reflected less than three quarters of the light. It was packed in a crate "
        "lined with sheepskin, crossed the sound on the deck of the ferry with two people holding "
        "it, and was given a new coating in Glasgow. It was back in its cell after 23 days. The "
        "first object seen with it was the Ring Nebula, and the cheer was heard at the gate."
    )
    pdf.heading("Work with schools")
    pdf.para(
        "Fourteen school parties came to the hill. For those who could not come we started a "
        "loan box: two pairs of binoculars, a planisphere, a lump of iron meteorite and a book "
        "in which each class writes a page for the next. The box has travelled to nine "
        "schools. It has come back heavier each time, and we have not asked why."
    )
    pdf.heading("Thanks")
    pdf.para(
        "Our secretary, Ruth Abernethy, retires this spring after 22 years. She has answered "
        "every letter by hand, among them one addressed to The Man in the Moon, and the trustees "
        "do not know how she is to be replaced."
    )

    # Page 2: the table
    pdf.add_page()
    pdf.heading("Clear nights, hours and visitors, month by month")
    pdf.para(
        "A night is called clear if the pole star could be seen for at least three hours "
        "together. The hours are those with the dome open. School parties are counted among "
        "the visitors."
    )
    table = [(m, str(a), str(b), str(c)) for m, a, b, c in MONTHS]
    table.append(("Total", str(nights), str(hours), f"{visitors:,}"))
    pdf.rows(("Month", "Clear nights", "Hours", "Visitors"), table, (46, 38, 38, 38))
    pdf.para(
        "August is always the busiest month, because of the meteors. June is always the "
        "quietest, as it hardly gets dark at this latitude. The best single night was 14 "
        "October, when the dome stayed open for eleven hours without a break and the "
        "last observer was found asleep on the stair."
    )

    # Page 3: money and plans
    pdf.add_page()
    pdf.heading("Accounts")
    pdf.rows(
        ("Income", "Pounds"),
        [(k, f"{v:,}") for k, v in INCOME] + [("Total", f"{income:,}")],
        (80, 40),
    )
    pdf.rows(
        ("Spending", "Pounds"),
        [(k, f"{v:,}") for k, v in SPENDING] + [("Total", f"{spending:,}")],
        (80, 40),
    )
    pdf.para(
        f"The year ended with a surplus of £{income - spending:,}. The trustees have set it "
        "aside for the roof of the members' room. The treasurer, Priya Menon, notes that "
        "more than half of the buildings figure was for the track, which was washed out in "
        "the rains of March and rebuilt in May."
    )
    pdf.heading("Plans for 2024")
    pdf.para(
        "We hope to place a small weather station on the hill, so that a visitor in Dunmarrow can "
        "see whether it is worth catching the boat. A student from the university will spend "
        "the summer copying the first twelve of Agnes Thorburn's notebooks, so that they may "
        "be read by anybody. The work will need about 900 photographs."
    )
    pdf.para(
        "In 2026 the observatory will be a hundred years old. A committee has been formed. "
        "So far it has agreed on a cake."
    )
    pdf.para("Dr Tomas Eklund, director")
    return pdf


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUT
    build().output(str(out))
    print(out)


if __name__ == "__main__":
    main()
