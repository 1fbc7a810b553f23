"""Line plots as SVG, with nothing but the standard library: log axes, names at the lines' ends."""

import html
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 190, 48, 52
COLOURS = ["#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf",
           "#bcbd22", "#ff7f0e", "#555555"]


def _nice(number):
    if number >= 1000000:
        return "%gM" % (number / 1000000)
    if number >= 1000:
        return "%gk" % (number / 1000)
    return "%g" % number


class Axis:
    """A value's place between two pixels; logarithmic or linear."""

    def __init__(self, low, high, begin, end, is_log):
        self.is_log = is_log
        self.low, self.high = (math.log10(low), math.log10(high)) if is_log else (low, high)
        if self.high <= self.low:
            self.high = self.low + 1
        self.begin, self.end = begin, end

    def at(self, value):
        place = math.log10(value) if self.is_log else value
        return self.begin + (place - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        if self.is_log:
            return [10.0 ** power for power in
                    range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        while (self.high - self.low) / step < 4:
            step /= 2
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _spread(labels, gap):
    """Moves labels apart, keeping their order: [(wanted y, ...)] -> y of each."""
    order = sorted(range(len(labels)), key=lambda index: labels[index])
    placed = {}
    last = -1e9
    for index in order:
        last = max(labels[index], last + gap)
        placed[index] = last
    overflow = last - (HEIGHT - BOTTOM)
    if overflow > 0:
        limit = HEIGHT - BOTTOM
        for index in reversed(order):
            placed[index] = min(placed[index], limit)
            limit = placed[index] - gap
    return [placed[index] for index in range(len(labels))]


def lines(path, title, x_name, y_name, series, x_ticks, y_log=True, y_low=None, note=""):
    """series: [(name, [(x, y)], is_ours)]; x is always logarithmic, y where asked."""
    floor = y_low if y_low is not None else (0.5 if y_log else 0.0)
    shown = [(name, [(x, max(y, floor)) for x, y in points], ours)
             for name, points, ours in series if points]
    if not shown:
        return
    top = max(y for _, points, _ in shown for _, y in points)
    top = 10 ** math.ceil(math.log10(top * 1.05)) if y_log else top * 1.15
    x_axis = Axis(min(x_ticks), max(x_ticks), LEFT, WIDTH - RIGHT, True)
    y_axis = Axis(floor, top, HEIGHT - BOTTOM, TOP, y_log)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
           'font-family="Helvetica,Arial,sans-serif" font-size="12">' % (WIDTH, HEIGHT, WIDTH,
                                                                       HEIGHT),
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           '<text x="%d" y="24" font-size="15" font-weight="bold" fill="#222">%s</text>'
           % (LEFT, html.escape(title))]
    for value in y_axis.ticks():
        y = y_axis.at(value)
        out.append('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#e4e4e4"/>'
                   % (LEFT, y, WIDTH - RIGHT, y))
        out.append('<text x="%d" y="%.1f" text-anchor="end" fill="#444">%s</text>'
                   % (LEFT - 6, y + 4, _nice(value)))
    for value in x_ticks:
        x = x_axis.at(value)
        out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e4e4e4"/>'
                   % (x, TOP, x, HEIGHT - BOTTOM))
        out.append('<text x="%.1f" y="%d" text-anchor="middle" fill="#444">%s</text>'
                   % (x, HEIGHT - BOTTOM + 17, _nice(value)))
    out.append('<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#888"/>'
               % (LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM))
    out.append('<text x="%.1f" y="%d" text-anchor="middle" fill="#222">%s</text>'
               % ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, html.escape(x_name)))
    out.append('<text x="16" y="%.1f" text-anchor="middle" fill="#222" '
               'transform="rotate(-90 16 %.1f)">%s</text>'
               % ((TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2, html.escape(y_name)))
    ends = _spread([y_axis.at(points[-1][1]) for _, points, _ in shown], 15)
    others = 1
    for (name, points, ours), label_y in zip(shown, ends):
        if ours:
            colour, width = COLOURS[0], 3
            if any(item[2] and item[0] != name for item in shown[:shown.index((name, points,
                                                                              ours))]):
                colour = "#8b0000"
        else:
            colour, width = COLOURS[1 + (others - 1) % (len(COLOURS) - 1)], 1.5
            others += 1
        way = " ".join("%s%.1f,%.1f" % ("M" if index == 0 else "L", x_axis.at(x), y_axis.at(y))
                       for index, (x, y) in enumerate(points))
        out.append('<path d="%s" fill="none" stroke="%s" stroke-width="%g"/>' % (way, colour,
                                                                               width))
        for x, y in points:
            out.append('<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>'
                       % (x_axis.at(x), y_axis.at(y), 3.5 if ours else 2.5, colour))
        end_x = x_axis.at(points[-1][0])
        out.append('<line x1="%.1f" y1="%.1f" x2="%d" y2="%.1f" stroke="%s" stroke-width="0.6"/>'
                   % (end_x + 4, y_axis.at(points[-1][1]), WIDTH - RIGHT + 12, label_y, colour))
        out.append('<text x="%d" y="%.1f" fill="%s"%s>%s</text>'
                   % (WIDTH - RIGHT + 15, label_y + 4, colour,
                      ' font-weight="bold"' if ours else "", html.escape(name)))
    if note:
        out.append('<text x="%d" y="40" font-size="11" fill="#666">%s</text>'
                   % (LEFT, html.escape(note)))
    out.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")
