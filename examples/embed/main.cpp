// The compiler inside a C++ program: reads an ONNX file, prints the parameters and
// writes the JAX module with its weights.
//
//     embed model.onnx [model_jax.py]
#include <oxide_xla.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

std::string_view view(OxText text) {
    return {text.data, text.size};
}

// One model.  What it returns lives as long as it does.
class Model {
  public:
    explicit Model(const std::string &path) {
        if (!compiler)
            throw std::bad_alloc();
        check(ox_load_file(compiler.get(), path.c_str()));
        OxOptions options = {};
        options.size = sizeof options;
        options.layers = OX_LAYERS_FUNCTIONS;
        check(ox_compile(compiler.get(), &options));
    }

    std::string_view source() const {
        return view(ox_source(compiler.get()));
    }

    void print_parameters(std::ostream &out) const {
        for (size_t i = 0; i < ox_param_count(compiler.get()); i++) {
            OxParam param = ox_param(compiler.get(), i);
            out << view(param.key) << ' ' << param.dtype << '[';
            for (int axis = 0; axis < param.rank; axis++)
                out << (axis ? "," : "") << param.shape[axis];
            out << "] " << param.nbytes << " bytes\n";
        }
    }

    // The module, and its weights beside it: both or neither.
    void write(const std::string &path) {
        std::string weights = path.substr(0, path.rfind('.')) + ".safetensors";
        check(ox_write_module(compiler.get(), path.c_str(), weights.c_str(),
                              OX_SAFETENSORS, false));
    }

  private:
    void check(OxStatus status) const {
        if (status != OX_OK)
            throw std::runtime_error(
                std::string(view(ox_messages(compiler.get(), false))));
    }

    std::unique_ptr<OxCompiler, decltype(&ox_free)> compiler{ox_new(nullptr), ox_free};
};

} // namespace

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        std::cerr << "usage: embed model.onnx [model_jax.py]\n";
        return 2;
    }
    try {
        Model model(argv[1]);
        model.print_parameters(std::cerr);
        if (argc == 3)
            model.write(argv[2]);
        else
            std::cout << model.source();
    } catch (const std::exception &error) {
        std::cerr << error.what();
        return 1;
    }
    return 0;
}
