"""What the loss of a region does to an environment, and what people do then: a page, and a layer for each region."""
