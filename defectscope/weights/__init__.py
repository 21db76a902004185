"""Small weights that come with defectscope, their cards, and the recipes that made them."""
