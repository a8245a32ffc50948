"""How the page of a lab looks: light and dark, wide and narrow. Colours are those of Okabe and Ito; a word or a shape
beside each says the same again.
"""

PAGE_WIDTH = 1240
"""How wide the page is at most, pixels."""

STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #c8ced5; --box: #f6f8fa;
  --held: #00704f; --broken: #b83200; --unmeasured: #59636e; --said: #0072b2; --saidfill: #0072b233;
  --grid: #e3e7eb; --focus: #0072b2;
  --k0: #0072b2; --k1: #d55e00; --k2: #009e73; --k3: #cc79a7; --k4: #e69f00; --k5: #56b4e9; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8ebee; --soft: #9aa4ae; --line: #454d56;
  --box: #1d2227; --held: #2cc295; --broken: #ff8a5c; --unmeasured: #9aa4ae; --said: #56b4e9; --saidfill: #56b4e940;
  --grid: #2b3137; --focus: #56b4e9;
  --k0: #56b4e9; --k1: #ff8a3d; --k2: #2cc295; --k3: #e39fc4; --k4: #e6b84a; --k5: #8fd0f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 20px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 10px; }
h3 { font-size: 15px; margin: 20px 0 6px; }
p { margin: 6px 0; } .soft { color: var(--soft); }
a { color: var(--said); } :focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
dl.figures { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 14px 0; } dl.figures div { min-width: 84px; }
dl.figures dt { color: var(--soft); font-size: 13px; }
dl.figures dd { margin: 0; font-size: 18px; font-variant-numeric: tabular-nums; }
.verdict { font-weight: 600; white-space: nowrap; } .held { color: var(--held); } .broken { color: var(--broken); }
.unmeasured { color: var(--unmeasured); }
section.fault { border: 1px solid var(--line); border-radius: 8px; padding: 4px 16px 14px; margin: 16px 0; }
section.fault > h3 { font-size: 17px; margin: 12px 0 2px; overflow-wrap: anywhere; }
figure { margin: 12px 0; } .scroll { overflow-x: auto; }
.scroll svg { display: block; } .hint { display: none; font-size: 13px; color: var(--soft); margin: 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .name { fill: var(--ink); }
svg .region { font-size: 14px; font-weight: 600; fill: var(--ink); }
.band { fill: var(--box); stroke: var(--line); } .zone { fill: var(--paper); stroke: var(--line); }
.zone.gone { stroke: var(--broken); stroke-width: 2; } svg .gone-text { fill: var(--broken); font-weight: 600; }
.link { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.link.cut { stroke: var(--broken); stroke-width: 2.5; stroke-dasharray: 3 5; } .plate { fill: var(--paper); }
.k0 { fill: var(--k0); } .k1 { fill: var(--k1); } .k2 { fill: var(--k2); } .k3 { fill: var(--k3); }
.k4 { fill: var(--k4); } .k5 { fill: var(--k5); }
.hollow { fill: none; stroke-width: 2.5; } .k0.hollow { stroke: var(--k0); } .k1.hollow { stroke: var(--k1); }
.k2.hollow { stroke: var(--k2); } .k3.hollow { stroke: var(--k3); } .k4.hollow { stroke: var(--k4); }
.k5.hollow { stroke: var(--k5); }
.runs { fill: var(--held); } .frozen { fill: none; stroke: var(--k4); stroke-width: 2.5; }
.ended { stroke: var(--broken); stroke-width: 2.5; stroke-linecap: round; }
.bars { display: grid; grid-template-columns: minmax(120px, 380px) 1fr; align-items: center; margin: 10px 0; }
.bars > .who { padding: 3px 12px 3px 0; font-size: 14px; overflow-wrap: anywhere; line-height: 1.3; }
.bars svg { width: 100%; display: block; overflow: visible; }
.bars > .axis { height: 22px; } .bars > .axis.tall { height: 36px; }
.bars > .who .soft { font-size: 13px; }
.bars > svg.bar { height: 64px; border-bottom: 1px solid var(--grid); }
.bars.life > svg.bar { height: 27px; }
.tick { stroke: var(--grid); } .moment { stroke: var(--ink); stroke-width: 1.5; }
.said { fill: var(--saidfill); stroke: var(--said); } .said.open { stroke-dasharray: 4 3; }
.seen.held { fill: var(--held); } .seen.broken { fill: var(--broken); } .seen.unmeasured { fill: var(--unmeasured); }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; color: var(--soft); margin: 4px 0;
  padding: 0; list-style: none; }
.key svg { width: 22px; height: 12px; vertical-align: -1px; margin-right: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--grid); }
th { color: var(--soft); font-weight: 600; font-size: 13px; } td.number, th.number { text-align: right; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
details { margin: 4px 0; } summary { cursor: pointer; color: var(--said); }
details ul { margin: 4px 0; padding-left: 20px; }
td details { font-size: 13px; } ul.plain { padding-left: 20px; margin: 6px 0; }
@media (max-width: 720px) {
  body { padding: 12px; } section.fault { padding: 2px 10px 10px; }
  .bars { grid-template-columns: 1fr; } .bars > .who { padding-top: 8px; } .bars > .corner { display: none; }
  table.parts thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.parts, table.parts tbody, table.parts tr, table.parts td { display: block; }
  table.parts tr { border-bottom: 1px solid var(--line); padding: 8px 0; }
  table.parts td { border: 0; padding: 1px 0; } table.parts td[data-is]::before { content: attr(data-is) ": ";
    color: var(--soft); }
}
@media print { section.fault { break-inside: avoid; } }
"""
