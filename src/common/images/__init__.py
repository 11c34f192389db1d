"""Images: data sets, measurement operators, models, measures of quality."""
