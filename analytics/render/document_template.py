"""The typesetting of the PDF document, in Typst. All words come from `data.json`, as data: nothing in them is markup."""

SOURCE = """
#let data = json("data.json")
#let quiet = rgb("#636a73")
#let accent = rgb("#1f5f8b")
#let line-colour = rgb("#d9d5cb")
#let small(body) = text(size: 8pt, fill: quiet, body)

#set document(title: data.title, author: "Reckoner", date: none)
#set text(font: ("Libertinus Serif",), size: 9.5pt, lang: "en", number-type: "lining")
#set par(leading: 0.55em)
#set page(
  paper: "a4",
  flipped: data.wide,
  margin: (x: 1.8cm, top: 1.8cm, bottom: 1.9cm),
  footer: context grid(
    columns: (1fr, auto),
    small(data.footer),
    small[#counter(page).display("1 / 1", both: true)],
  ),
)
#show heading.where(level: 1): set text(size: 18pt)
#show heading.where(level: 2): it => block(above: 1.3em, below: 0.6em, text(size: 11.5pt, fill: accent, it.body))

= #data.title
#text(fill: quiet, data.subtitle)
#line(length: 100%, stroke: 1pt + accent)

#if data.notices.len() > 0 {
  block(width: 100%, fill: rgb("#fff4d6"), inset: 8pt, radius: 3pt, stroke: (left: 3pt + rgb("#d9a400")),
    for notice in data.notices [*#notice.name* #notice.detail \\ ])
}

#if data.tiles.len() > 0 {
  grid(columns: (1fr,) * data.tiles-across, gutter: 6pt,
    ..data.tiles.map(tile => block(width: 100%, inset: 6pt, radius: 3pt, stroke: 0.5pt + line-colour)[
      #small(tile.label) \\
      #text(size: 11pt, weight: "bold", tile.text)
    ]))
}

#let pairs(items) = if items.len() > 0 {
  grid(columns: (auto, 1fr), column-gutter: 10pt, row-gutter: 5pt,
    ..items.map(item => (text(fill: quiet, item.at(0)), item.at(1))).flatten())
} else [None.]

#if data.sentences.len() > 0 { block(above: 10pt, pairs(data.sentences)) }

#for chart in data.charts {
  block(breakable: false, width: 100%)[== #chart.title
    #image(chart.file, width: 13.5cm, alt: chart.title)]
}

#let data-table(shown, size: 8pt) = {
  set text(size: size, number-width: "tabular")
  table(
    columns: shown.names.len(),
    align: (column, row) => if shown.numeric.at(column) { right } else { left },
    stroke: (x, y) => (bottom: if y == 0 { 0.8pt + accent } else { 0.4pt + line-colour }),
    inset: (x: 4pt, y: 3pt),
    table.header(repeat: true, ..shown.names.map(name => text(fill: quiet, weight: "bold", name))),
    ..shown.rows.flatten(),
  )
}

#for list in data.lists {
  [== #list.title]
  data-table(list)
  if list.more > 0 { small[#list.more more in the data.] }
}

== Rows
#small(data.caption)
#if data.rows.rows.len() > 0 {
  data-table(data.rows, size: data.row-size * 1pt)
} else [No rows: nothing in the data answers the question.]

== What the numbers mean
#data.definition

#small[Source: #data.source]

== Columns
#pairs(data.columns)

== Parameters
#pairs(data.params)

== Rows left out
#pairs(data.dropped)

== Checks
#pairs(data.checks)

== How this was made
#pairs(data.made)
"""
