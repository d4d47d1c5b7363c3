"""A terminal as small as the tests need: what is on the screen after a program's output.

It knows what a progress display uses (\\r, \\n, cursor up, erase to the end of the line and of the screen, colors), takes
anything else for a mistake, and lays its lines out anew when it is resized, as the terminals of today do.
"""

import re

_TOKEN = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|[^\x1b]")


class Terminal:
    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cursor_row = self.cursor_column = 0
        self._top = 0  # the first row that is not scrolled out
        self._text = [""]
        self._wrapped = [False]  # whether the row goes on in the next one
        self._rest = ""

    def lines(self):
        """The rows from the first one on, scrolled out or not, without empty ones at the end."""
        lines = [row.rstrip() for row in self._text]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def feed(self, text):
        text = self._rest + text
        at = 0
        while at < len(text):
            token = _TOKEN.match(text, at)
            if not token:
                if not re.fullmatch(r"\x1b(\[[0-9;]*)?", text[at:]):
                    raise AssertionError(f"this terminal does not know {text[at:at + 20]!r}")
                break  # the rest of the sequence is on its way
            at = token.end()
            if token.group(2):
                self._control(token.group(2), token.group(1))
            else:
                self._put(token.group())
        self._rest = text[at:]

    def resize(self, columns, rows):
        logical, wrapped, cursor = [], False, None
        for row, text in enumerate(self._text):
            if not wrapped:
                logical.append("")
            if row == self.cursor_row:
                cursor = (len(logical) - 1, len(logical[-1]) + self.cursor_column)
            wrapped = self._wrapped[row]
            logical[-1] += text
        self.columns, self.rows = columns, rows
        self._text, self._wrapped = [], []
        for index, line in enumerate(logical):
            if index == cursor[0]:
                self.cursor_row, self.cursor_column = len(self._text) + cursor[1] // columns, cursor[1] % columns
            parts = [line[at:at + columns] for at in range(0, len(line), columns)] or [""]
            self._text += parts
            self._wrapped += [True] * (len(parts) - 1) + [False]
        self._top = max(0, len(self._text) - rows)

    def _put(self, character):
        if character == "\r":
            self.cursor_column = 0
        elif character == "\n":
            self._down()
        elif character == "\a" or character < " ":
            raise AssertionError(f"this terminal does not know {character!r}")
        else:
            if self.cursor_column == self.columns:
                self._wrapped[self.cursor_row] = True
                self._down()
                self.cursor_column = 0
            row = self._text[self.cursor_row].ljust(self.cursor_column)
            self._text[self.cursor_row] = row[:self.cursor_column] + character + row[self.cursor_column + 1:]
            self.cursor_column += 1

    def _down(self):
        self.cursor_row += 1
        if self.cursor_row == len(self._text):
            self._text.append("")
            self._wrapped.append(False)
        self._top = max(self._top, self.cursor_row - self.rows + 1)

    def _control(self, name, parameters):
        if name == "A":
            self.cursor_row = max(self._top, self.cursor_row - int(parameters or 1))
        elif name == "K" and parameters in ("", "0"):
            self._erase_line()
        elif name == "J" and parameters in ("", "0"):
            self._erase_line()
            del self._text[self.cursor_row + 1:], self._wrapped[self.cursor_row + 1:]
        elif name != "m":
            raise AssertionError(f"this terminal does not know CSI {parameters} {name}")

    def _erase_line(self):
        self._text[self.cursor_row] = self._text[self.cursor_row][:self.cursor_column]
        self._wrapped[self.cursor_row] = False
