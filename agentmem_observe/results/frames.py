"""Tables of results as data frames of pandas; only loaded with the extra ``report``."""

import pandas as pd

from agentmem_observe.results.table import ComparisonTable


def frame(table: ComparisonTable) -> pd.DataFrame:
    """Return a table as a data frame with the same rows and columns.

    Args:
        table: Of any length; an empty one has its columns too.
    """
    return pd.DataFrame(list(table.rows), columns=list(table.columns))
