"""Programs that play the model where an example runs offline. None of them is a language model.

Each is a pair of functions. One answers in the place of the nodes, badly until its prompt says how. The other turns the
critique of a call into advice on what caused it, given what else backward shows of that call.
"""

import re


def write_equations(system: str, question: str) -> str:
    """Know one pattern of sentences, and read per cent as a plain number unless the prompt explains them."""
    pattern = r"A (\w+) costs (\d+) % more than a (\w+)\. Together they cost (\d+)\. What does the (\w+) cost\?"
    more, percent, less, total, wanted = re.fullmatch(pattern, question).groups()
    factor = f"{less} * (1 + {percent}/100)" if "1 + p/100" in system else f"{less} + {percent}"
    return f"{more} = {factor}\n{more} + {less} = {total}\nanswer = {wanted}"


def explain_percent(critique: str, call: str) -> str:
    """Know what is behind a contradiction where per cent are around."""
    return "p % more than x is x * (1 + p/100), not x + p." if "%" in call and "contradicts" in critique else ""


def choose_route(system: str, question: str) -> str:
    """Take the shortest road at every crossing, or compare whole routes where the prompt says so."""
    roads = {(a, b): int(minutes) for a, b, minutes in re.findall(r"(\w)-(\w) (\d+)", question)}
    roads |= {(b, a): minutes for (a, b), minutes in roads.items()}
    start, goal = re.findall(r"From (\w) to (\w)", question)[0]
    routes, found = [(0, start)], {}
    while routes:
        minutes, route = routes.pop(0)
        onward = sorted((cost, b) for (a, b), cost in roads.items() if a == route[-1] and b not in route)
        if route[-1] == goal:
            found[route] = minutes
        elif "whole routes" in system:
            routes += [(minutes + cost, route + b) for cost, b in onward]
        else:
            routes += [(minutes + cost, route + b) for cost, b in onward[:1]]
    return " ".join(min(found, key=found.get)) if found else f"{start} {goal}"


def look_ahead(critique: str, call: str) -> str:
    """Know why a better route was overlooked, or a road taken that is none."""
    return "Compare whole routes, not single roads."


def write_median(system: str, question: str) -> str:
    """Write the middle of a sorted list; think of the cases that the prompt names."""
    lines = ["def median(numbers):", "    ordered = sorted(numbers)", "    middle = len(ordered) // 2"]
    if "empty" in system:
        lines.insert(1, "    if not numbers:\n        return None")
    if "even" in system:
        lines.append("    if len(ordered) % 2 == 0:\n        return (ordered[middle - 1] + ordered[middle]) / 2")
    return "\n".join([*lines, "    return ordered[middle]"])


def name_case(critique: str, call: str) -> str:
    """Tell from the errors which kind of input was forgotten."""
    cases = {"IndexError": "Think of empty lists.", "AssertionError": "Think of lists of even length."}
    return " ".join(advice for error, advice in cases.items() if error in critique)


def search_and_read(system: str, said: str) -> str:
    """Search for the first three words, or the longest where the prompt says so; quote the first quantity."""
    if passage := re.search(r"Passage: (.*)", said):
        found = re.search(r"\d+ [a-z]+", passage[1])
        return f"Answer: {found[0] if found else 'none'}"
    words = re.findall(r"\w+", said.lower())
    return " ".join(sorted(words, key=len)[-3:] if "longest" in system else words[:3])


def search_better(critique: str, call: str) -> str:
    """Trace a wrong answer to the passage, the passage to its query, and hand advice on queries to their prompt."""
    if '<cause name="input.passage"' in call:
        return f"This passage does not help. {critique}"
    if '<cause name="input.query"' in call:
        return "Search for the longest words of the question: they are rarer than its first ones."
    return critique
