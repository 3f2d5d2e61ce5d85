"""Documents: parsed, limited, validated and cached."""
