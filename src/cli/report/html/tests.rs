//! What the page promises whatever it shows: harmless, small, with a lane for every table and bars where their days are.
