#!/usr/bin/env python3
"""Records docs/first-minute.svg: real commands, typed into two real terminals.

Needs `pip install pyte`, `pipeline` in the PATH, and the ports 9092 and 9464 free.
"""
import fcntl, html, os, pathlib, pty, select, struct, tempfile, termios, time
import pyte

COLUMNS, CELL, LINE, EDGE = 80, 8.4, 18, 14
COLOURS = {"red": "#ff7b72", "green": "#7ee787", "brown": "#e3b341", "cyan": "#79c0ff"}


class Terminal:
    """A shell in a terminal of its own, and what is on its screen."""

    def __init__(self, rows):
        self.screen = pyte.Screen(COLUMNS, rows)
        self.stream = pyte.ByteStream(self.screen)
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(tempfile.mkdtemp())  # where no file of that name is
            os.execve("/bin/sh", ["sh"], {"PATH": os.environ["PATH"], "PS1": "$ ", "TERM": "xterm"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))

    def prompts(self):
        return self.screen.display[self.screen.cursor.y].startswith("$ ")

    def rows(self):
        """Each line as its runs: column, text, colour."""
        cursor = (self.screen.cursor.y, self.screen.cursor.x) if self.prompts() else None
        for y in range(self.screen.lines):
            runs = []
            for x in range(COLUMNS):
                data, colour = self.screen.buffer[y][x][:2]
                data = "█" if (y, x) == cursor else data
                if runs and runs[-1][2] == colour:
                    runs[-1][1] += data
                else:
                    runs.append([x, data, colour])
            yield tuple((x, text.rstrip(), colour) for x, text, colour in runs if text.strip())


worker, client = terminals = [Terminal(11), Terminal(13)]
start, frames = time.monotonic(), []  # seconds, and the lines of both


def watch(seconds, until=lambda: False):
    """Lets both run, and takes a picture whenever something has changed."""
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end and not until():
        for fd in select.select([t.fd for t in terminals], [], [], min(0.06, end - now))[0]:
            next(t for t in terminals if t.fd == fd).stream.feed(os.read(fd, 65536))
        picture = [row for t in terminals for row in t.rows()]
        if not frames or frames[-1][1] != picture and now - start > frames[-1][0] + 0.06:
            frames.append((now - start, picture))


def enter(terminal, line, until, rest):
    for key in line:
        os.write(terminal.fd, key.encode())
        watch(0.05)
    watch(0.4)
    os.write(terminal.fd, b"\n")
    watch(0.3)
    watch(20, until)
    assert until(), line
    watch(rest)


watch(1)
enter(worker, "pipeline run factorial.toml", lambda: "lag 0" in " ".join(worker.screen.display), 1.5)
enter(client, "pipeline request 30", client.prompts, 2)
enter(client, "pipeline request 999999", client.prompts, 2)
enter(client, "pipeline topics describe factorials-to-be-calculated.dlq", client.prompts, 3)
os.write(worker.fd, b"\x03")  # Ctrl-C
watch(20, worker.prompts)
watch(1)

total, width, height = frames[-1][0] + 4, COLUMNS * CELL + 2 * EDGE, 26 * LINE + 3 * EDGE
css, body = "", ""
for line in range(24):
    y = EDGE + LINE * (line + 2) - 4 if line < 11 else 2 * EDGE + LINE * (line + 3) - 4
    # A strip of all that the line ever is, side by side, of which one part is seen.
    changes = [(t, now[line]) for i, (t, now) in enumerate(frames) if i == 0 or now[line] != frames[i - 1][1][line]]
    strip = list(dict.fromkeys(row for _, row in changes))
    seen = [(t / total * 100 if i else 0, strip.index(row) * width) for i, (t, row) in enumerate(changes)]
    keys = "".join(f"{percent:.2f}%{{transform:translateX({-x:g}px)}}" for percent, x in seen)
    css += f"@keyframes k{line}{{{keys}}}#l{line}{{transform:translateX({-seen[-1][1]:g}px);animation:k{line} {total:.2f}s steps(1,end) infinite}}"
    texts = (f'<text x="{i * width + EDGE + x * CELL:g}" y="{y}" textLength="{len(text) * CELL:g}" '
             f'fill="{COLOURS.get(colour, "#d8dee9")}">{html.escape(text, quote=False)}</text>'
             for i, row in enumerate(strip) for x, text, colour in row)
    body += f'<g id="l{line}">{"".join(texts)}</g>'
for y, title in [(EDGE + LINE, "a worker"), (2 * EDGE + 13 * LINE, "another terminal")]:
    body += f'<text x="{EDGE}" y="{y - 4}" fill="#8b949e">── {title} ──</text>'
svg = f"""<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width:g} {height}" width="{width:g}" height="{height}">
<style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}}
{css}@media(prefers-reduced-motion:reduce){{g{{animation:none!important}}}}</style>
<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1}" rx="8" fill="#0d1117" stroke="#57606a"/>{body}</svg>
"""
pathlib.Path(__file__).with_suffix(".svg").write_text(svg)
print(f"{len(frames)} pictures, {total:.0f} s, {len(svg) // 1024} KiB")
