"""Drawings as SVG, written on the server: the flow's graph and an event's way. Pure: documents in, text out.

No inline styles, because the pages' Content-Security-Policy refuses them; `static/console.css` has the classes. The
layered layout is ours: the kept libraries that do it need a program (graphviz) or a browser (ELK, dagre).
"""
