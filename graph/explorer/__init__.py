"""The explorer: GraphiQL with the sign-in panel of Postern."""
