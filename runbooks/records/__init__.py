"""The database: schema, queries, migrations. The only place that knows SQL."""
