"""A service in a few lines."""

from perfgen.questions import Form
from perfgen.questions import Values

_TOLD = ("project", "description", "python_version", "patterns", "max_replicas", "max_connections")


def summary(form: Form, answers: Values) -> list[str]:
    """What a service with these answers is, in a few lines."""
    chosen = answers.get("patterns", [])
    brought = [
        name
        for name in form.catalogue.enabled(chosen)
        if name not in (*form.catalogue.core, *chosen)
    ]
    patterns = ", ".join(chosen) or "none beyond the core"
    rows = {
        "what": answers.get("description", ""),
        "Python": answers.get("python_version", ""),
        "core": ", ".join(form.catalogue.core),
        "patterns": patterns + (f" (with {', '.join(brought)})" if brought else ""),
    }
    if "max_replicas" in answers:
        rows["database"] = (
            f"at most {answers['max_replicas']} replicas on {answers['max_connections']} connections"
        )
    others = [name for name in answers if name not in (*rows, *_TOLD)]
    rows |= {name: str(answers[name]) for name in others}
    return [f"  {title:10}{text}" for title, text in rows.items() if text]
