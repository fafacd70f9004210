"""Tables as lists of dicts, with columns as arrays and a short look in notebooks."""
import csv
import html
import io

SHOWN = 20


class Rows(list):
    # Names of the columns where there may be no row to tell them.
    names = ()

    @classmethod
    def of_csv(cls, text):
        """Numbers become int or float, true and false bool, an empty cell None."""
        reader = csv.reader(io.StringIO(text))
        names = next(reader, [])
        lines = list(reader)
        columns = [typed([line[index] for line in lines]) for index in range(len(names))]
        rows = cls(dict(zip(names, values)) for values in zip(*columns))
        rows.names = tuple(names)
        return rows

    def column(self, name):
        """One column, as a numpy array when numpy is there, else a list."""
        values = [row[name] for row in self]
        try:
            import numpy
        except ImportError:
            return values
        return numpy.array(values)

    @property
    def columns(self):
        return list(self[0]) if self else list(self.names)

    def where(self, **wanted):
        """The rows with these values."""
        return Rows(row for row in self if all(row.get(name) == value for name, value in wanted.items()))

    def to_arrow(self):
        import pyarrow

        return pyarrow.Table.from_pylist(list(self))

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return Rows(found) if isinstance(index, slice) else found

    def _repr_html_(self):
        head = "".join("<th>%s</th>" % html.escape(str(name)) for name in self.columns)
        body = "".join(
            "<tr>%s</tr>" % "".join("<td>%s</td>" % html.escape(short(row.get(name))) for name in self.columns)
            for row in self[:SHOWN]
        )
        more = "" if len(self) <= SHOWN else "<p>%d rows in all</p>" % len(self)
        return "<table><thead><tr>%s</tr></thead><tbody>%s</tbody></table>%s" % (head, body, more)


def typed(cells):
    """The cells of a column, all of one type."""
    if all(cell in ("true", "false", "") for cell in cells):
        return [cell == "true" if cell else None for cell in cells]
    for kind in (int, float):
        try:
            return [kind(cell) if cell else None for cell in cells]
        except ValueError:
            continue
    return cells


def short(value):
    return "%.4g" % value if isinstance(value, float) else str(value)
