"""What the reference makes of docstrings: `Example:` is code, and every error that is named is a link."""

from griffe import Alias, Class, Extension, GriffeLoader, Module, Object

ERRORS = "minimax_al.errors"


class Docstrings(Extension):
    """Calls the section `Example` by the name under which Griffe looks for code, and tells modules of the errors."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Rename the section."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: object) -> None:
        """Let every module resolve errors that its docstrings name and that another module raises."""
        members = loader.modules_collection[ERRORS].members
        errors = [name for name, member in members.items() if isinstance(member, Class)]
        waiting = [pkg]
        while waiting:
            module = waiting.pop()
            waiting += [member for member in module.members.values() if isinstance(member, Module)]
            for name in errors:
                if name not in module.members and module.path != ERRORS:
                    module.set_member(name, Alias(name, f"{ERRORS}.{name}", parent=module, runtime=False))
