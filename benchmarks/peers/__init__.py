"""The servers that Postern is compared with, each written as its documentation shows."""
