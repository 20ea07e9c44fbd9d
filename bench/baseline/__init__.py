"""The baseline: FastAPI, SQLAlchemy and PostgreSQL JSONB, as a user would write it first."""
