#include "lessons/clone_tables.h"

#include <string>
#include <utility>
#include <vector>

#include "common/kernel/namespaces.h"

namespace steps {

Table KindTable() {
  Table table = {{"kind", "flag", "isolates", "since", "manual"}, {}};
  for (const Kind& kind : Kinds()) {
    const auto cells = {kind.name, kind.flag_name, kind.isolates, kind.since,
                        kind.man_page};
    table.rows.emplace_back(cells.begin(), cells.end());
  }
  return table;
}

Table Matrix(const std::map<int, int>& differs) {
  Table matrix = {{"flag"}, {}};
  for (const Kind& kind : Kinds()) {
    matrix.header.emplace_back(kind.name);
    if (!differs.contains(kind.flag)) continue;
    std::vector<std::string> row = {std::string(kind.flag_name)};
    for (const Kind& other : Kinds()) {
      const bool is_new = (differs.at(kind.flag) & other.flag) != 0;
      row.emplace_back(is_new ? "new" : "-");
    }
    matrix.rows.push_back(std::move(row));
  }
  return matrix;
}

}  // namespace steps
