#include "llem/efficiency.h"

llem_result llem_find_model_device(const llem_model_info *model, llem_device *device) {
    return llem_find_device(model->device, device);
}
