"""The style sheet of the HTML page: light and dark, narrow and wide, screen and paper."""

CSS = """
:root{color-scheme:light dark;--bg:#fbfaf7;--card:#fff;--ink:#1f2328;--quiet:#636a73;--line:#e3e0d8;--accent:#1f5f8b;
--warn:#fff4d6;--warnline:#d9a400;--ok:#1a7f4b;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e7e9ec;--quiet:#9aa3ad;--line:#30363d;
--accent:#7cb8e4;--warn:#33290b;--warnline:#b58900;--ok:#56d08c;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0}h2{font-size:1.05rem;margin:0 0 .6rem}
header{border-bottom:2px solid var(--accent);padding-bottom:.8rem;margin-bottom:1.2rem}
header p,.quiet{color:var(--quiet);font-size:.9rem;margin:.3rem 0 0}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem;margin:1rem 0;min-width:0}
section h2:not(:first-child){margin-top:1.2rem}p{margin:.3rem 0;overflow-wrap:anywhere}a{color:var(--accent)}
.warn{background:var(--warn);border-left:4px solid var(--warnline);border-radius:4px;margin:0 0 1rem;
padding:.6rem 1rem .6rem 2rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.6rem;margin:0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem;min-width:0}
dt{color:var(--quiet);font-size:.8rem}.tiles dd{margin:0;font-size:1.1rem;font-weight:600;overflow-wrap:anywhere;
font-variant-numeric:tabular-nums}
.charts{display:grid;gap:1rem;margin:1rem 0;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr))}
figure{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:0;padding:1rem;overflow-x:auto}
figcaption{font-weight:600;margin-bottom:.5rem}figure svg{max-width:100%;height:auto;display:block}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);padding-bottom:.4rem}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}
th{color:var(--quiet);font-weight:600;vertical-align:bottom}th small{display:block;font-weight:400}
.n{text-align:right}.null{color:var(--quiet);text-align:center}tbody tr:hover{background:var(--bg)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:0 1rem}
.pairs{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.25rem 1rem;margin:0;font-size:.9rem}
.pairs dd{margin:0;overflow-wrap:anywhere}code{font-size:.8rem}
.checks{margin:0;padding-left:1.1rem;font-size:.9rem;overflow-wrap:anywhere}
.checks .ok strong{color:var(--ok)}.checks .bad strong{color:var(--bad)}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--quiet:#444;--line:#bbb}main{max-width:none;padding:0}
body{font-size:11px}section,figure,.tiles div{break-inside:avoid;border-radius:0}.scroll{overflow:visible}
section:has(table){break-inside:auto}thead{display:table-header-group}tr{break-inside:avoid}}
""".strip()
